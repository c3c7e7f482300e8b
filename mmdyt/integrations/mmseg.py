"""Semantic segmentation with mmsegmentation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmseg.evaluation import IoUMetric
from mmseg.models.segmentors import EncoderDecoder
from torch import Tensor

from mmdyt.models.algorithms import CompleteModelMixin, DyTObjective
from mmdyt.registry import METRICS, MODELS


@MODELS.register_module()
class DyTEncoderDecoder(CompleteModelMixin, EncoderDecoder):
    """mmsegmentation's ``EncoderDecoder`` with the loss and freezing of DyT.

    The loss is the host's on the dynamic model plus the rate loss, as in the
    released segmentation runs. ``dyt=dict(complete_weight=1.0,
    distill_weight=1.0)`` adds the complete model's losses and the distillation
    of its logits, averaged over the pixels whose label counts.

    Load it with ``custom_imports = dict(imports=['mmdyt.integrations.mmseg'])``.

    Args:
        backbone (dict): Usually a ``mmdyt.DyTViT`` with ``out_type='featmap'``.
        decode_head (dict): Any decode head of mmsegmentation.
        neck (dict | None): Usually ``Feature2Pyramid``. Defaults to ``None``.
        auxiliary_head (dict | list[dict] | None): Defaults to ``None``.
        dyt (dict | None): Targets and weights of the loss, see
            :class:`mmdyt.models.algorithms.DyTObjective`; ``complete_weight``
            and ``distill_weight`` default to 0 here. Defaults to ``None``.
        tuning (str): What trains, see
            :func:`mmdyt.models.utils.set_trainable`; neck and heads always do.
            Defaults to ``'peft'``.
        **kwargs: As ``EncoderDecoder``.
    """

    # A hook on the head itself would miss: mmseg calls its `forward` directly.
    logits_module = "decode_head.conv_seg"
    heads = ("decode_head", "auxiliary_head", "neck")
    default_objective = DyTObjective(complete_weight=0.0, distill_weight=0.0)

    @property
    def distill_activation(self) -> str:
        """``'sigmoid'`` for a ``decode_head`` of one output channel."""
        return "sigmoid" if self.decode_head.out_channels == 1 else "softmax"

    def distill_mask(self, logits: Tensor, data_samples: list) -> Tensor:
        """Find the positions of the logits whose label is not the ignored one.

        Args:
            logits: Logits at the head's resolution, ``(B, K, h, w)``.
            data_samples: Samples with ``gt_sem_seg`` of ``(1, H, W)``.

        Returns:
            ``(B, h, w)``, bool; the nearest label of each position decides.
        """
        labels = torch.stack([sample.gt_sem_seg.data for sample in data_samples])  # (B, 1, H, W)
        nearest = F.interpolate(labels.float(), size=logits.shape[2:], mode="nearest")
        return nearest.squeeze(1) != self.decode_head.ignore_index


@METRICS.register_module()
class ClassIoUMetric(IoUMetric):
    """mmsegmentation's ``IoUMetric``, with the IoU of every class as a metric.

    The host prints that table only. The metrics are ``IoU/<class>``, in percent;
    a class that is neither in the labels nor predicted has none.

    Args:
        **kwargs: As ``IoUMetric``.
    """

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Add the classes' IoU to the host's metrics."""
        metrics = super().compute_metrics(results)
        if not self.format_only:
            intersect, union, _, _ = (sum(areas) for areas in zip(*results))
            for name, hit, total in zip(self.dataset_meta["classes"], intersect, union):
                if total > 0:
                    metrics[f"IoU/{name}"] = float(100 * hit / total)
        return metrics
