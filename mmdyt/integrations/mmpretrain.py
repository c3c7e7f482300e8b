"""Image classification with mmpretrain."""

from __future__ import annotations

from mmpretrain.models.classifiers import ImageClassifier
from mmpretrain.models.necks import GlobalAveragePooling

from mmdyt.models.algorithms import CompleteModelMixin
from mmdyt.models.heads.width import check_head_width
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

    Raises:
        ValueError: If ``head.in_channels`` is not the width of the backbone.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if not self.with_neck or isinstance(self.neck, GlobalAveragePooling):
            check_head_width(self.backbone, self.head, "model.head")
