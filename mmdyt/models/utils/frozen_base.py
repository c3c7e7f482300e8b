"""The frozen part of a model: which it is, and by what it is known again."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

CHUNKS = 8
PERIOD = 4093  # a prime, so that rows of no usual width meet the same signs
TOLERANCE = 0.01  # rounding to bfloat16 stays below, exchanged rows stay above
RESIZED = 0.05  # of position embeddings, which loaders resize to another image size and back


def split_state(
    model: nn.Module, state_dict: Mapping[str, Tensor] | None = None
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Divide a model's state into what trains and what is frozen.

    Args:
        model: A :class:`mmdyt.models.algorithms.CompleteModelMixin`. What its
            ``tuning`` trains counts, not ``requires_grad``, which ``EMAHook``
            switches off in its copy.
        state_dict: Values to take for the first part, such as averaged ones.
            Defaults to ``None``: the model's own.

    Returns:
        Two dicts by name: trainable parameters and buffers; frozen parameters.
    """
    trained: frozenset[str] = model.trained_names  # type: ignore[assignment]
    # Not out of state_dict(): mmpretrain's LoRAModel leaves its frozen part out of that.
    frozen = {name: param.data for name, param in model.named_parameters() if name not in trained}
    state = model.state_dict() if state_dict is None else state_dict
    return {name: tensor for name, tensor in state.items() if name not in frozen}, frozen


def fingerprint(tensors: Mapping[str, Tensor]) -> dict:
    """Describe tensors by a hash of their bits and a sketch of their values.

    The sketch of a tensor has the root mean square of each of eight consecutive
    parts, and the sum of each part's values under fixed random signs, over the
    root of their number. It tells permuted rows apart, and other tensors of the
    same moments; rounding and resizing change it by little.

    Args:
        tensors: Tensors by name.

    Returns:
        ``dict(hash=..., sketch={name: numbers})``, plain.
    """
    return dict(
        hash=_hash(tensors), sketch={name: _sketch(tensor) for name, tensor in tensors.items()}
    )


def unlike(theirs: dict, tensors: Mapping[str, Tensor]) -> list[str]:
    """Name the tensors that a fingerprint does not fit.

    Args:
        theirs: A result of :func:`fingerprint`.
        tensors: The tensors to compare, by name.

    Returns:
        Names; none where the bits agree, or every part's sketch does within 1 %
        of that part's own scale, or 5 % in a position embedding.
    """
    return list(each_unlike(theirs, tensors))


def each_unlike(theirs: dict, tensors: Mapping[str, Tensor]) -> Iterator[str]:
    """Do as :func:`unlike`, one tensor at a time: the first name may be answer enough."""
    if theirs["hash"] == _hash(tensors):
        return
    sketch = theirs["sketch"]
    for name in {**sketch, **tensors}:
        both = name in sketch and name in tensors
        tolerance = RESIZED if name.endswith("pos_embed") else TOLERANCE
        if not both or not _deviation(sketch[name], _sketch(tensors[name])) <= tolerance:
            yield name


def _hash(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(tensors):
        values = tensors[name].detach().cpu().contiguous().flatten()
        digest.update(f"{name} {values.dtype}".encode())
        digest.update(values.view(torch.uint8).numpy().data)
    return digest.hexdigest()


@lru_cache(maxsize=1)
def _signs() -> Tensor:
    # numpy keeps the stream of RandomState for ever.
    return torch.from_numpy(np.random.RandomState(0).choice([-1.0, 1.0], PERIOD))


def _sketch(tensor: Tensor) -> list[float]:
    values = tensor.detach().cpu().double().flatten()
    signed = values * _signs().repeat(-(-len(values) // PERIOD))[: len(values)]
    numbers = []
    for part, mixed in zip(values.tensor_split(CHUNKS), signed.tensor_split(CHUNKS)):
        size = max(len(part), 1)
        rms = math.sqrt(part.square().sum().item() / size)
        numbers += [rms, mixed.sum().item() / math.sqrt(size)]
    return [float(f"{number:.7g}") for number in numbers]


def _deviation(one: list[float], other: list[float]) -> float:
    """Largest difference over the parts, each relative to the part's root mean square."""
    floor = 1e-3 * max(one[::2] + other[::2])
    worst = 0.0
    for index in range(0, len(one), 2):
        scale = max(one[index], other[index], floor)
        gaps = [abs(a - b) for a, b in zip(one[index : index + 2], other[index : index + 2])]
        if not all(map(math.isfinite, (scale, *gaps))):
            return math.inf
        worst = max(worst, *(gap / scale if scale else 0.0 for gap in gaps))
    return worst
