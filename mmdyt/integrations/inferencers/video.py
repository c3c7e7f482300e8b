"""Classes of videos, with mmaction2's inferencer."""

from __future__ import annotations

from typing import Any

from mmdyt.compat import heal_mmaction

heal_mmaction()

from mmaction.apis.inferencers.actionrecog_inferencer import ActionRecogInferencer  # noqa: E402
from mmengine.config import Config  # noqa: E402

from mmdyt.engine.inferencer import BaseDyTInferencer  # noqa: E402


class _Host(ActionRecogInferencer):
    """mmaction2's inferencer around a model that is there already."""

    def __init__(self, model: Any, config: Config, device: str) -> None:
        self._given = model
        super().__init__(config, device=device)

    def _init_model(self, cfg: Any, weights: Any, device: str = "cpu") -> Any:
        return self._given


class DyTVideoInferencer(BaseDyTInferencer):
    """Recognise the action of video files, see :func:`mmdyt.inferencer`."""

    scope = "mmaction"
    loads_rgb = True

    def build_host(self, config: Config) -> ActionRecogInferencer:
        """Build mmaction2's inferencer."""
        return _Host(self.model, config, self.device)

    def as_result(self, sample: Any) -> dict[str, Any]:
        """Give the scores of a video, and its class."""
        return self.scored(sample.pred_score.cpu())
