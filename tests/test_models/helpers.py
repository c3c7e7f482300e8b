"""What several tests of models share."""

import torch
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mmdyt.models.utils import dispatch_mode, dispatched_layers


class FixedDispatcher(nn.Module):
    """A dispatcher that answers with a given mask, ``(B, N)``."""

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.mask = mask

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        return self.mask, None


def fix_dispatch(layer: nn.Module, mask: Tensor) -> None:
    """Make all dispatchers of a layer answer with a mask."""
    for name in layer.dispatcher:
        layer.dispatcher[name] = FixedDispatcher(mask)


def spread_dispatch(model: nn.Module) -> None:
    """Give learned dispatchers weights that tell tokens apart."""
    for layer in dispatched_layers(model):
        for dispatcher in layer.dispatcher.values():
            nn.init.normal_(dispatcher.proj.weight)


@torch.no_grad()
def both_executions(model: nn.Module, *inputs) -> tuple[Tensor, Tensor]:
    """The outputs of skipping and of masked evaluation."""
    model.eval()
    skipped = model(*inputs)
    with dispatch_mode(model, "masked"):
        masked = model(*inputs)
    return (skipped, masked) if isinstance(skipped, Tensor) else (skipped[-1], masked[-1])


@torch.no_grad()
def complete_and_plain(dispatched: nn.Module, plain: nn.Module, inputs: Tensor):
    """Outputs of a backbone in complete mode and of the plain one it came from.

    Every plain weight is random, layer scales and biases too; loading says
    which keys of the dispatched model the plain checkpoint lacks.
    """
    for param in plain.parameters():
        nn.init.normal_(param, std=0.2)
    keys = dispatched.load_state_dict(plain.state_dict(), strict=False)
    # Not chained: train() and eval() of mmpretrain's backbones return None.
    dispatched.eval()
    plain.eval()
    with dispatch_mode(dispatched, "complete"):
        complete = dispatched(inputs)[-1]
    return complete, plain(inputs)[-1], keys


def train_step(model: nn.Module, images: Tensor) -> dict[str, float]:
    """One optimiser step of a classifier on made-up labels."""
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=1e-2)
    samples = [DataSample().set_gt_label(i % 10) for i in range(len(images))]
    total, log = model.parse_losses(model.train().loss(images, samples))
    total.backward()
    optimizer.step()
    return {name: float(value) for name, value in log.items()}
