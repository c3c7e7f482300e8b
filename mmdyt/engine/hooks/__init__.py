"""Hooks of mmdyt; importing this registers them."""

from mmdyt.engine.hooks.adapter_checkpoint_hook import AdapterCheckpointHook
from mmdyt.engine.hooks.finite_loss_hook import FiniteLossHook
from mmdyt.engine.hooks.iter_seed_hook import IterSeedHook
from mmdyt.engine.hooks.preflight_hook import PreflightHook

__all__ = ["AdapterCheckpointHook", "FiniteLossHook", "IterSeedHook", "PreflightHook"]
