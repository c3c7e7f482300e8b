"""Classes of images, with mmpretrain's inferencer."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config
from mmpretrain import ImageClassificationInferencer

from mmdyt.engine.inferencer import BaseDyTInferencer


class DyTClassificationInferencer(BaseDyTInferencer):
    """Classify images, see :func:`mmdyt.inferencer`."""

    scope = "mmpretrain"

    def build_host(self, config: Config) -> ImageClassificationInferencer:
        """Build mmpretrain's inferencer."""
        self.model._config = config
        return ImageClassificationInferencer(self.model, classes=self.classes)

    def as_result(self, sample: Any) -> dict[str, Any]:
        """Give the scores of an image, and its class."""
        return self.scored(sample.pred_score.cpu())
