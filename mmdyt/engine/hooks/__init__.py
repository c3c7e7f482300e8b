"""Hooks of mmdyt; importing this registers them."""

from mmdyt.engine.hooks.adapter_checkpoint_hook import AdapterCheckpointHook
from mmdyt.engine.hooks.checkpoint_hook import CheckpointHook
from mmdyt.engine.hooks.clip_visualization_hook import ClipVisualizationHook
from mmdyt.engine.hooks.dispatch_stats_hook import DispatchStatsHook
from mmdyt.engine.hooks.finite_loss_hook import FiniteLossHook
from mmdyt.engine.hooks.image_visualization_hook import ImageVisualizationHook
from mmdyt.engine.hooks.iter_seed_hook import IterSeedHook
from mmdyt.engine.hooks.preflight_hook import PreflightHook
from mmdyt.engine.hooks.rate_schedule_hook import RateScheduleHook
from mmdyt.engine.hooks.tau_schedule_hook import TauScheduleHook

__all__ = [
    "AdapterCheckpointHook",
    "CheckpointHook",
    "ClipVisualizationHook",
    "DispatchStatsHook",
    "FiniteLossHook",
    "ImageVisualizationHook",
    "IterSeedHook",
    "PreflightHook",
    "RateScheduleHook",
    "TauScheduleHook",
]
