"""Refuse checkpoints that do not fit, instead of training on random weights."""

from __future__ import annotations

from torch import Tensor, nn


def refuse_other_shapes(module: nn.Module, state_dict: dict, prefix: str, *_) -> None:
    """Load hook that raises where a checkpoint's tensor has another shape.

    mmengine loads checkpoints non-strictly by default: of a checkpoint of
    another width it would keep nothing and go on with a warning. Missing and
    unexpected keys stay the caller's business.

    Args:
        module: The module that is being loaded.
        state_dict: The checkpoint's tensors.
        prefix: Where the module stands in ``state_dict``.

    Raises:
        ValueError: Naming the first tensors that differ.
    """
    wrong = []
    for name, own in module.state_dict().items():
        given = state_dict.get(prefix + name)
        if isinstance(given, Tensor) and given.shape != own.shape:
            wrong.append(f"{prefix + name}: {tuple(given.shape)}, the model has {tuple(own.shape)}")
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ValueError(
            f"the checkpoint does not fit {type(module).__name__} "
            f"(backbone.arch, patch_size, adapter): {'; '.join(wrong[:3])}{more}"
        )
