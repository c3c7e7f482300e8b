"""Classes of pixels, with mmsegmentation's inferencer."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config
from mmseg.apis import MMSegInferencer

from mmdyt.engine.inferencer import BaseDyTInferencer


class _Host(MMSegInferencer):
    """mmsegmentation's inferencer around a model that is there already."""

    def __init__(self, model: Any, config: Config, device: str) -> None:
        self._given = model
        super().__init__(config, device=device, show_progress=False)

    def _init_model(self, cfg: Any, weights: Any, device: str = "cpu") -> Any:
        return self._given


class DyTSegInferencer(BaseDyTInferencer):
    """Segment images, see :func:`mmdyt.inferencer`."""

    scope = "mmseg"

    def build_host(self, config: Config) -> MMSegInferencer:
        """Build mmsegmentation's inferencer."""
        config.visualizer = dict(type="SegLocalVisualizer")
        return _Host(self.model, config, self.device)

    def as_result(self, sample: Any) -> dict[str, Any]:
        """Give the class of every pixel of an image."""
        return dict(pred_sem_seg=sample.pred_sem_seg.data[0].cpu().numpy())
