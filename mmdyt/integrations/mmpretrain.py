"""Image classification with mmpretrain."""

from __future__ import annotations

from mmpretrain.models.classifiers import ImageClassifier

from mmdyt.models.algorithms import CompleteModelMixin
from mmdyt.registry import MODELS


@MODELS.register_module()
class DyTImageClassifier(CompleteModelMixin, ImageClassifier):
    """mmpretrain's ``ImageClassifier`` with the loss and freezing of DyT.

    Args:
        backbone (dict): Usually a ``mmdyt.DyTViT``.
        neck (dict | None): Defaults to ``None``.
        head (dict | None): Any classification head of mmpretrain.
        dyt (dict | None): Targets and weights of the loss, see
            :class:`mmdyt.models.algorithms.DyTObjective`. Defaults to ``None``.
        tuning (str): What trains, see
            :func:`mmdyt.models.utils.set_trainable`. Defaults to ``'peft'``.
        **kwargs: As ``ImageClassifier``.
    """
