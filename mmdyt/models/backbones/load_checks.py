"""Refuse checkpoints that do not fit, instead of training on random weights."""

from __future__ import annotations

from torch import Tensor, nn


def refuse_other_shapes(module: nn.Module, state_dict: dict, prefix: str, *_) -> None:
    """Load hook that raises where a checkpoint's tensor has another shape.

    mmengine loads checkpoints non-strictly by default: of a checkpoint of
    another width, or with other names, it would keep nothing and go on with a
    warning. Where a backbone is loaded by itself, as by its ``init_cfg``, at
    least one name has to fit; other missing and unexpected keys stay the
    caller's business.

    Args:
        module: The module that is being loaded.
        state_dict: The checkpoint's tensors.
        prefix: Where the module stands in ``state_dict``.

    Raises:
        ValueError: Naming the first tensors that differ, or the first keys of
            a checkpoint that has nothing for this backbone.
    """
    wrong = []
    own_state = module.state_dict()
    if not prefix and state_dict and own_state.keys().isdisjoint(state_dict):
        raise ValueError(
            f"the checkpoint holds nothing for {type(module).__name__}: its keys are "
            f"{list(state_dict)[:3]} ..., the model's {list(own_state)[:3]} ...; convert it, "
            "or set backbone.init_cfg.prefix to what stands before its keys, such as 'backbone.'"
        )
    for name, own in own_state.items():
        given = state_dict.get(prefix + name)
        if isinstance(given, Tensor) and given.shape != own.shape:
            wrong.append(f"{prefix + name}: {tuple(given.shape)}, the model has {tuple(own.shape)}")
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ValueError(
            f"the checkpoint does not fit {type(module).__name__} "
            f"(backbone.arch, patch_size, adapter): {'; '.join(wrong[:3])}{more}"
        )
