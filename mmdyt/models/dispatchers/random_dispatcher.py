"""Random dispatch, the control experiment."""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from torch import Tensor

from mmdyt.checks import check_number
from mmdyt.ops import rank_rand
from mmdyt.registry import MODELS


@MODELS.register_module()
class RandomDispatcher(BaseModule):
    """Activate every token with the same probability, whatever it shows.

    Ablation of the paper. Each token is drawn on its own (Bernoulli), so that
    the expected rate holds with any number of prefix tokens. There is nothing
    to learn: the rate loss is constant, and gradients only reach the adapters.

    Training draws anew for every image and pass, and in every process on its
    own. Evaluation is deterministic: each dispatcher has a seed of its own,
    drawn at construction and kept in the checkpoint, from which comes one mask
    for all images. A prediction then depends neither on the batch around an
    image nor on the run.

    Args:
        embed_dims (int): Width of the stream; not used, every dispatcher gets it.
        rate (float): Probability of a token to be active, in (0, 1]. Defaults
            to 0.5.
        init_cfg (dict | None): Defaults to ``None``.

    Raises:
        ValueError: If ``rate`` is outside (0, 1].
    """

    seed: Tensor

    def __init__(self, embed_dims: int, rate: float = 0.5, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        check_number("dispatcher.rate", rate, "(0, 1]")
        self.rate = rate
        self.register_buffer("seed", torch.randint(2**31, ()))

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        """Draw a mask.

        Args:
            x: Token stream, ``(B, N, C)``; only its shape and device count.

        Returns:
            The mask, ``(B, N)``, float in training and otherwise bool; and
            ``None``, as there are no logits.
        """
        if self.training:
            return (rank_rand(x.shape[:2], x.device) < self.rate).float(), None
        generator = torch.Generator().manual_seed(int(self.seed))
        mask = torch.rand(x.shape[1], generator=generator) < self.rate  # (N,)
        return mask.to(x.device).expand(x.shape[:2]), None
