"""Save adapter files beside mmengine's checkpoints."""

from __future__ import annotations

import logging
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import BaseModel, is_model_wrapper

from mmdyt.engine.adapter_checkpoint import save_adapter
from mmdyt.engine.test_pipeline import find_pipeline
from mmdyt.models.utils import trainable_names
from mmdyt.models.utils.frozen_base import fingerprint, split_state
from mmdyt.registry import HOOKS


@HOOKS.register_module()
class AdapterCheckpointHook(Hook):
    """Keep ``adapter.safetensors`` beside mmengine's resumable checkpoints.

    The file holds the trainable parameters and the buffers, a few MB instead
    of the whole model, with what they depend on, and is replaced whenever
    mmengine saves a checkpoint. A run that trains everything has none. Every
    loader takes it like any other file; what is checked then stands in
    :mod:`mmdyt.models.utils.load_guards`.

    Args:
        filename (str): Name inside the work dir. Defaults to
            ``'adapter.safetensors'``.
    """

    # After EMAHook, which puts the averaged weights into the checkpoint.
    priority = "BELOW_NORMAL"

    def __init__(self, filename: str = "adapter.safetensors") -> None:
        self.filename = filename
        self._base: dict | None = None

    def before_train(self, runner) -> None:
        """Look at what trains, and say so where frozen weights came from no file.

        Raises:
            ValueError: If parameters train that the adapter file would leave out.
        """
        model = _unwrap(runner.model)
        trained = getattr(model, "trained_names", None)
        if trained is not None and (more := set(trainable_names(model)) - trained):
            raise ValueError(
                f"{len(more)} parameters train that model.tuning={model.tuning!r} froze, first "
                f"{min(more)}: they would be missing in {self.filename}. Choose another "
                "model.tuning, or leave mmdyt.AdapterCheckpointHook out"
            )
        backbone = getattr(model, "backbone", None)
        if backbone is None or any(
            getattr(part, "is_filled", False) for part in backbone.modules()
        ):
            return
        if any(not param.requires_grad for param in backbone.parameters()):
            runner.logger.log(
                logging.WARNING,
                "the frozen weights of model.backbone are random, as no file filled them: set "
                "model.backbone.init_cfg or load_from",
            )

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Write the adapter of the model that is being saved."""
        model = _unwrap(runner.model)
        if not is_main_process() or not hasattr(model, "built_from"):
            return
        frozen = split_state(model)[1]
        if not frozen:  # full tuning: the whole model is what was trained
            return
        if self._base is None:  # frozen weights stay: one look a run
            self._base = fingerprint(frozen)
        save_adapter(
            model,
            Path(runner.work_dir) / self.filename,
            checkpoint["state_dict"],
            self._base,
            find_pipeline(runner.cfg),
            config=runner.cfg.filename,
            dataset_meta=checkpoint["meta"].get("dataset_meta"),
            epoch=checkpoint["meta"]["epoch"],
            iter=checkpoint["meta"]["iter"],
        )


def _unwrap(model) -> BaseModel:
    return model.module if is_model_wrapper(model) else model
