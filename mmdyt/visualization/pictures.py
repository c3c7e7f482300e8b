"""What a model saw: its normalised input as pictures again."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from torch import Tensor

# How preprocessors say that they exchange red and blue, by host.
EXCHANGES = ("to_rgb", "_channel_conversion")


def pictures_of(images: Tensor, preprocessor: Any, loads_rgb: bool = False) -> NDArray:
    """Undo the normalisation of images.

    Args:
        images: What the backbone got, ``(B, 3, H, W)``.
        preprocessor: The model's ``data_preprocessor``.
        loads_rgb: Whether the pipeline loads RGB, as decoders of videos do, instead
            of BGR. Defaults to ``False``.

    Returns:
        RGB images, ``(B, H, W, 3)``, uint8.
    """
    if getattr(preprocessor, "mean", None) is not None:
        images = images * preprocessor.std.view(-1, 1, 1) + preprocessor.mean.view(-1, 1, 1)
    exchanged = any(getattr(preprocessor, name, False) for name in EXCHANGES)
    if loads_rgb == exchanged:
        images = images.flip(1)
    return images.round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
