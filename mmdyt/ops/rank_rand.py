"""Random numbers that differ between the processes of a run."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def rank_rand(shape: torch.Size, device: torch.device) -> Tensor:
    """Draw uniform numbers, other ones in every process.

    Data-parallel processes start from one seed, so that ``torch.rand`` would
    give all of them the same noise. Rank 0, and a run of one process, draw what
    ``torch.rand`` draws; other ranks seed a generator from torch's and their
    rank. Equal states of torch's generators give equal numbers, as a resumed
    run needs.

    Args:
        shape: Shape of the result.
        device: Its device.

    Returns:
        Numbers in [0, 1), float32.
    """
    rank = dist.get_rank() if dist.is_available() and dist.is_initialized() else 0
    generator = None
    if rank:
        seed = int(torch.randint(2**32, ())) << 16 | rank
        generator = torch.Generator(device).manual_seed(seed)
    return torch.rand(shape, device=device, dtype=torch.float32, generator=generator)
