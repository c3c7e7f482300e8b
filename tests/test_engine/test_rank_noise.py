"""Data-parallel processes that start from one seed draw different dispatch noise."""

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from mmdyt.models.dispatchers import RandomDispatcher, TokenDispatcher
from mmdyt.ops import rank_rand

WORLD = 3


def decisions() -> list[torch.Tensor]:
    """Masks of fresh dispatchers in training, after one seed; twice from the same state."""
    torch.manual_seed(0)
    dispatchers = [TokenDispatcher(8), RandomDispatcher(8)]
    x, state = torch.randn(4, 50, 8), torch.get_rng_state()
    masks = [dispatcher(x)[0].detach() for dispatcher in dispatchers]
    torch.set_rng_state(state)
    again = [dispatcher(x)[0].detach() for dispatcher in dispatchers]
    assert all(map(torch.equal, masks, again)), "a resumed run must draw the same"
    return masks


def worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=WORLD
    )
    torch.save(decisions(), f"{folder}/{rank}.pth")
    dist.barrier()
    dist.destroy_process_group()


def test_ranks_draw_their_own_and_the_first_draws_what_a_single_process_draws(tmp_path):
    alone = decisions()
    mp.start_processes(worker, (str(tmp_path),), nprocs=WORLD, start_method="fork")
    ranks = [torch.load(tmp_path / f"{rank}.pth", weights_only=True) for rank in range(WORLD)]
    for first, second, third, single in zip(*ranks, alone):
        assert torch.equal(first, single)
        for one, other in ((first, second), (first, third), (second, third)):
            agreeing = (one == other).float().mean()  # half of 200 independent decisions
            assert 0.3 < agreeing < 0.7


def test_a_single_process_draws_what_torch_draws():
    torch.manual_seed(0)
    expected = torch.rand(3, 5)
    torch.manual_seed(0)
    assert torch.equal(rank_rand(expected.shape, expected.device), expected)
