"""Pictures of predicted images in their own colours."""

from __future__ import annotations

from pathlib import Path

from mmengine.model import BaseTTAModel, is_model_wrapper
from mmpretrain.engine.hooks import VisualizationHook

from mmdyt.registry import HOOKS


@HOOKS.register_module()
class ImageVisualizationHook(VisualizationHook):
    """mmpretrain's ``VisualizationHook``, which draws what was loaded as BGR as RGB.

    Of test-time augmentation it draws the first copy. Names begin with the number of
    the sample, as folders of classes have files of the same names.

    Args:
        **kwargs: As ``VisualizationHook``.
    """

    seen = 0

    def before_test_epoch(self, runner) -> None:
        """Count samples from 0."""
        self.seen = 0

    def after_test_iter(self, runner, batch_idx: int, data_batch: dict, outputs) -> None:
        """Draw the samples of a batch."""
        images, model = data_batch["inputs"], runner.model
        while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
            if isinstance(model, BaseTTAModel):
                images = images[0]
            model = model.module
        if model.data_preprocessor.to_rgb:
            images = [image.flip(0) for image in images]
        named = []
        for output in outputs:
            index = self.seen * runner.world_size + runner.rank
            self.seen += 1
            sample = output.new()
            name = Path(sample.pop("img_path", "image")).name
            sample.set_metainfo(dict(img_path=f"{index:05d}_{name}"))
            named.append(sample)
        super().after_test_iter(runner, batch_idx, dict(data_batch, inputs=images), named)
