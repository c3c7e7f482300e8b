"""Stop a run whose loss is not a number any more."""

from __future__ import annotations

import math

import torch
from mmengine.hooks import Hook

from mmdyt.registry import HOOKS


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Raise at the first loss that is NaN or infinite.

    It runs before mmengine's ``CheckpointHook``, so that the last good
    checkpoint stays the last one. Trained weights are looked at once more
    before they are saved: a gradient that is NaN, of this process or another,
    spoils them an iteration before this process's loss shows it.
    """

    priority = "ABOVE_NORMAL"

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        """Check every term that ``train_step`` returned.

        Raises:
            FloatingPointError: Naming the iteration and the terms.
        """
        terms = {
            key: float(torch.as_tensor(value).detach())
            for key, value in (outputs or {}).items()
            if "loss" in key
        }
        bad = {key: value for key, value in terms.items() if not math.isfinite(value)}
        if bad:
            raise FloatingPointError(
                f"iteration {runner.iter + 1}: {', '.join(f'{k} = {v}' for k, v in bad.items())}; "
                f"all terms: {terms}. Nothing of this iteration was saved in {runner.work_dir}; "
                "resume from the last checkpoint with a smaller learning rate or with clip_grad"
            )

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Keep weights that are not numbers out of checkpoints.

        Raises:
            FloatingPointError: Naming the iteration and the first parameters.
        """
        bad = [
            name
            for name, param in runner.model.named_parameters()
            if param.requires_grad and not param.isfinite().all()
        ]
        if bad:
            raise FloatingPointError(
                f"iteration {checkpoint['meta']['iter']}: {bad[:3]} ({len(bad)} in all) are not "
                f"finite; nothing of this iteration was saved in {runner.work_dir}; "
                "resume from the last checkpoint with a smaller learning rate or with clip_grad"
            )
