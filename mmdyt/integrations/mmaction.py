"""Video recognition with mmaction2.

Load it with ``custom_imports = dict(imports=['mmdyt.integrations.mmaction'])``,
or import it before mmaction: it heals the latter's packaging first.
"""

from __future__ import annotations

from mmdyt.compat import heal_mmaction

heal_mmaction()

from mmaction.datasets import VideoDataset  # noqa: E402
from mmaction.models.heads import BaseHead  # noqa: E402
from mmaction.models.recognizers import Recognizer2D  # noqa: E402
from mmengine.model.weight_init import normal_init  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from mmdyt.datasets.video_skip import SkipUnreadableMixin  # noqa: E402
from mmdyt.models.algorithms import CompleteModelMixin  # noqa: E402
from mmdyt.models.heads import AttentivePool  # noqa: E402
from mmdyt.registry import DATASETS, MODELS  # noqa: E402


@MODELS.register_module()
class DyTRecognizer2D(CompleteModelMixin, Recognizer2D):
    """mmaction2's ``Recognizer2D`` with the loss and freezing of DyT.

    Frames and views fold into the batch, so that the backbone dispatches the
    tokens of each frame on their own.

    Args:
        backbone (dict): Usually a ``mmdyt.DyTViT`` with ``out_type='raw'``.
        cls_head (dict): Usually a ``mmdyt.AttentivePoolHead``.
        dyt (dict | None): Targets and weights of the loss, see
            :class:`mmdyt.models.algorithms.DyTObjective`. Defaults to ``None``.
        tuning (str): What trains, see
            :func:`mmdyt.models.utils.set_trainable`. Defaults to ``'peft'``.
        **kwargs: As ``Recognizer2D``.
    """

    logits_module = "cls_head"
    heads = ("cls_head", "neck")

    @property
    def distill_activation(self) -> str:
        """``'sigmoid'`` for a ``cls_head`` with ``multi_class=True``."""
        return "sigmoid" if self.cls_head.multi_class else "softmax"

    def cost_sample(self, images: Tensor) -> Tensor:
        """Make one view of what the backbone saw, to count its FLOPs.

        Args:
            images: Frames of all views, ``(B * V * T, 3, H, W)``.

        Returns:
            The first view, ``(1, T, 3, H, W)``.
        """
        return images[: self.cls_head.pool.num_frames].unsqueeze(0)


@MODELS.register_module()
class AttentivePoolHead(BaseHead):
    """Classify a clip by one query that reads the tokens of all its frames.

    ``(B * V * T, N, C)`` tokens of ``V`` views are unfolded to clips, pooled by
    :class:`mmdyt.models.heads.AttentivePool` to ``(B * V, C)`` and classified to
    ``(B * V, num_classes)``; in testing the views of a video are averaged.

    Args:
        num_classes (int): Classes.
        in_channels (int): Channels ``C`` of the tokens.
        num_frames (int): Frames ``T`` of one view, the ``clip_len`` of the
            pipeline. Defaults to 8.
        num_heads (int): Attention heads. Defaults to 12.
        average_clips (str | None): How views are averaged, ``'prob'``,
            ``'score'`` or ``None`` (not at all). Defaults to ``'prob'``.
        init_std (float): Deviation of the normal distribution that the weights of
            ``fc_cls`` are drawn from, as in mmaction2's heads. Defaults to 0.01.
        **kwargs: As mmaction2's ``BaseHead``, such as ``topk``.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        num_frames: int = 8,
        num_heads: int = 12,
        average_clips: str | None = "prob",
        init_std: float = 0.01,
        **kwargs,
    ) -> None:
        super().__init__(num_classes, in_channels, average_clips=average_clips, **kwargs)
        self.init_std = init_std
        self.pool = AttentivePool(in_channels, num_frames, num_heads)
        self.fc_cls = nn.Linear(in_channels, num_classes)

    def init_weights(self) -> None:
        """Draw the classifier, before ``init_cfg`` has its say; the pool is drawn when built."""
        normal_init(self.fc_cls, std=self.init_std)
        super().init_weights()

    def forward(self, feats: Tensor | tuple[Tensor], num_segs: int, **kwargs) -> Tensor:
        """Compute class scores.

        Args:
            feats: Tokens of all frames, ``(B * V * T, N, C)``, or a tuple that
                holds only them.
            num_segs: Frames of all views of a video, ``V * T``.
            **kwargs: What else ``Recognizer2D`` hands over, not used.

        Returns:
            Scores by view, ``(B * V, num_classes)``.

        Raises:
            ValueError: If ``num_segs`` is not a multiple of ``num_frames``.
        """
        num_frames = self.pool.num_frames
        if num_segs % num_frames:
            raise ValueError(
                f"a video came with {num_segs} frames, no multiple of "
                f"cls_head.num_frames={num_frames}; clip_len of the pipeline must equal it"
            )
        tokens = feats[0] if isinstance(feats, tuple) else feats
        # (B * V * T, N, C) -> (B * V, T, N, C)
        tokens = tokens.reshape(-1, num_frames, *tokens.shape[1:])
        return self.fc_cls(self.pool(tokens))


@DATASETS.register_module()
class SkippingVideoDataset(SkipUnreadableMixin, VideoDataset):
    """mmaction2's ``VideoDataset``, which skips unreadable files in training.

    Being ours it also unpickles in data workers started by spawn, where nothing
    else would heal mmaction2.

    Args:
        max_unreadable_share (float): See
            :class:`mmdyt.datasets.video_skip.SkipUnreadableMixin`. Defaults to
            0.01.
        **kwargs: As ``VideoDataset``.
    """
