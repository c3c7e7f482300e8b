"""Image classification with mmpretrain."""

from __future__ import annotations

from mmpretrain.models.classifiers import ImageClassifier
from mmpretrain.models.heads import MultiLabelClsHead

from mmdyt.models.algorithms import CompleteModelMixin
from mmdyt.registry import MODELS


@MODELS.register_module()
class DyTImageClassifier(CompleteModelMixin, ImageClassifier):
    """mmpretrain's ``ImageClassifier`` with the loss and freezing of DyT.

    Args:
        backbone (dict): Usually a ``mmdyt.DyTViT``.
        neck (dict | None): It trains, as the head does. Defaults to ``None``.
        head (dict | None): Any classification head of mmpretrain.
        dyt (dict | None): Targets and weights of the loss, see
            :class:`mmdyt.models.algorithms.DyTObjective`. Defaults to ``None``.
        tuning (str): What trains, see
            :func:`mmdyt.models.utils.set_trainable`. Defaults to ``'peft'``.
        **kwargs: As ``ImageClassifier``.
    """

    heads = ("head", "neck")

    @property
    def distill_activation(self) -> str:
        """``'sigmoid'`` for mmpretrain's multi-label heads."""
        return "sigmoid" if isinstance(self.head, MultiLabelClsHead) else "softmax"
