"""What property tests of dispatch draw: every shape, mask and prefix in one place."""

from dataclasses import dataclass

import torch
from hypothesis import settings
from hypothesis import strategies as st
from torch import Tensor

settings.register_profile("mmdyt", deadline=None, derandomize=True, max_examples=20)
settings.load_profile("mmdyt")


@dataclass(frozen=True)
class Decision:
    """What a dispatcher may say of a batch.

    Args:
        mask: Active tokens, ``(B, N)``, bool; prefix tokens may be left out.
        num_prefix: Leading tokens that are active whatever the mask says.
    """

    mask: Tensor
    num_prefix: int

    @property
    def active(self) -> Tensor:
        """The mask with its prefix, ``(B, N)``."""
        return self.mask | (torch.arange(self.mask.shape[1]) < self.num_prefix)

    def stream(self, channels: int) -> Tensor:
        """Tokens to decide on, ``(B, N, C)``."""
        return torch.randn(*self.mask.shape, channels)


@st.composite
def decisions(draw, max_images: int = 4, max_tokens: int = 12, max_prefix: int = 3) -> Decision:
    """Draw batches from one token to many, with none, some or all of them active."""
    images, tokens = draw(st.integers(1, max_images)), draw(st.integers(1, max_tokens))
    prefix = draw(st.integers(0, min(max_prefix, tokens)))
    row = st.one_of(
        st.just([False] * tokens),
        st.just([True] * tokens),
        st.lists(st.booleans(), min_size=tokens, max_size=tokens),
    )
    rows = draw(st.lists(row, min_size=images, max_size=images))
    return Decision(torch.tensor(rows), prefix)
