"""Read the output of a named submodule during a forward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn


@contextmanager
def capture(model: nn.Module, name: str) -> Iterator[list[Any]]:
    """Collect what a submodule returns while the context is open.

    Args:
        model: The model that holds the submodule.
        name: Dotted name of the submodule, such as ``'head'`` or
            ``'decode_head.conv_seg'``.

    Yields:
        A list that receives one entry a call of the submodule.

    Raises:
        ValueError: If ``model`` has no such submodule.
    """
    try:
        module = model.get_submodule(name)
    except AttributeError:
        children = [child for child, _ in model.named_children()]
        raise ValueError(
            f"{type(model).__name__} has no submodule {name!r} to take logits from; "
            f"its children are {children}"
        ) from None
    outputs: list[Any] = []
    handle = module.register_forward_hook(lambda _module, _args, out: outputs.append(out))
    try:
        yield outputs
    finally:
        handle.remove()
