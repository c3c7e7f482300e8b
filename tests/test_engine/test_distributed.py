"""Two processes over gloo give the gradients of one with the joint batch."""

import os

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.registry import init_default_scope
from mmpretrain.structures import DataSample
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from mmdyt.models.dispatchers import TokenDispatcher
from mmdyt.models.utils import trainable_names
from tests.conftest import build, tiny_classifier

WORLD = 2


class ImageNoiseDispatcher(TokenDispatcher):
    """Noise that depends on the image alone, not on its place in a batch."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.proj(x).squeeze(-1)
        noise = torch.sin(x.detach().sum(dim=-1) * 1e4) * 5
        soft = torch.sigmoid((logits + noise) / self.tau)
        hard = (soft >= self.threshold).float()
        return hard + (soft - soft.detach()), logits


def model_and_batch():
    init_default_scope("mmpretrain")
    torch.manual_seed(0)
    quiet = dict(
        adapter=dict(type="mmdyt.BottleneckAdapter", drop_rate=0.0),
        dispatcher=dict(type=ImageNoiseDispatcher),
    )
    model = build(tiny_classifier(quiet, dyt=dict(target_rate=0.2)))
    samples = [DataSample().set_gt_label(index) for index in range(6)]
    return model, torch.randn(6, 3, 28, 28), samples


def worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1")
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=WORLD
    )
    model, images, samples = model_and_batch()
    parallel = DistributedDataParallel(model)
    share = slice(rank * 3, rank * 3 + 3)
    losses = parallel(images[share], samples[share], mode="loss")
    model.parse_losses(losses)[0].backward()
    if rank == 0:
        gradients = {name: model.get_parameter(name).grad for name in trainable_names(model)}
        torch.save(gradients, f"{folder}/gradients.pth")
    dist.barrier()
    dist.destroy_process_group()


def test_two_processes_equal_the_joint_batch(tmp_path):
    mp.spawn(worker, (str(tmp_path),), nprocs=WORLD)
    model, images, samples = model_and_batch()
    model.parse_losses(model.loss(images, samples))[0].backward()
    gradients = torch.load(tmp_path / "gradients.pth")
    for name in trainable_names(model):
        torch.testing.assert_close(
            gradients[name], model.get_parameter(name).grad, atol=1e-6, rtol=1e-4, msg=name
        )
