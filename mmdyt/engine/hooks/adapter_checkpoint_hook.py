"""Save adapter-only checkpoints, and load them through an ordinary runner."""

from __future__ import annotations

from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import BaseModel, is_model_wrapper

from mmdyt.engine.adapter_checkpoint import (
    FORMAT,
    check_adapter,
    fingerprint,
    save_adapter,
    split_state,
)
from mmdyt.registry import HOOKS


@HOOKS.register_module()
class AdapterCheckpointHook(Hook):
    """Keep ``adapter.safetensors`` beside mmengine's resumable checkpoints.

    The file holds the trainable parameters and the buffers, a few MB instead
    of the whole model, and is replaced whenever mmengine saves a checkpoint. A
    run that trains everything has none.
    ``load_from`` and ``tools/test.py`` take it like any other: the backbone is
    then initialised from its own ``init_cfg``, and a file that does not belong
    to the model is refused.

    Args:
        filename (str): Name inside the work dir. Defaults to
            ``'adapter.safetensors'``.
    """

    # After EMAHook, which puts the averaged weights into the checkpoint.
    priority = "BELOW_NORMAL"

    def __init__(self, filename: str = "adapter.safetensors") -> None:
        self.filename = filename
        self._base: dict[str, list[float]] | None = None

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Write the adapter of the model that is being saved."""
        if not is_main_process():
            return
        model = _unwrap(runner.model)
        frozen = split_state(model)[1]
        if not frozen:  # full tuning: the whole model is what was trained
            return
        if self._base is None:  # frozen weights stay: one look a run
            self._base = fingerprint(frozen)
        init_cfg = runner.cfg.get("model", {}).get("backbone", {}).get("init_cfg") or []
        sources = [init_cfg] if isinstance(init_cfg, dict) else init_cfg
        save_adapter(
            model,
            Path(runner.work_dir) / self.filename,
            checkpoint["state_dict"],
            self._base,
            config=runner.cfg.filename,
            pretrained=next((s["checkpoint"] for s in sources if "checkpoint" in s), None),
            epoch=checkpoint["meta"]["epoch"],
            iter=checkpoint["meta"]["iter"],
        )

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Prepare the base for an adapter-only file and check that both fit.

        Raises:
            ValueError: If the adapter does not match the model or its base, or
                if training should resume from it: it has no optimiser state.
        """
        meta = checkpoint.get("meta", {})
        if meta.get("format") != FORMAT:
            return
        if runner._resume:
            raise ValueError(
                "an adapter-only checkpoint has no optimiser state to resume from: resume from "
                "the epoch_*.pth or iter_*.pth beside it, or set load_from without resume"
            )
        model = _unwrap(runner.model)
        if not model.is_init:  # a test run loads no base by itself
            model.init_weights()
        check_adapter(model, checkpoint["state_dict"], meta, str(runner._load_from))


def _unwrap(model) -> BaseModel:
    return model.module if is_model_wrapper(model) else model
