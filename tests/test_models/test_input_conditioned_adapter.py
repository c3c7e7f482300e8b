"""iConFormer's adapter: each image's own kernels, on its own patches only."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmdyt.models import BottleneckAdapter, InputConditionedAdapter
from mmdyt.models.layers import PatchGrid
from tests.conftest import build, tiny_backbone

C, D, PREFIX = 16, 4, 2


def adapter(h: int, w: int, **args) -> InputConditionedAdapter:
    made = InputConditionedAdapter(C, D, drop_rate=0.0, **args)
    for param in made.parameters():
        nn.init.normal_(param, std=0.5)
    made.grid = PatchGrid(h, w)
    return made


@pytest.mark.parametrize("batch, h, w, k", [(1, 3, 5, 3), (3, 4, 4, 3), (2, 6, 5, 5), (2, 3, 3, 1)])
@torch.no_grad()
def test_every_image_and_channel_has_its_own_convolution(batch, h, w, k):
    ours = adapter(h, w, kernel_size=k)
    x = torch.randn(batch, PREFIX + h * w, C)
    z = ours.down(x)
    for image in z:
        own = image[PREFIX:].T.reshape(D, h, w)
        kernels = ours.kernels(own.mean(dim=(1, 2))).reshape(D, 1, 1, k, k)
        moved = [F.conv2d(own[None, c : c + 1], kernels[c], padding=k // 2)[0, 0] for c in range(D)]
        image[PREFIX:] += torch.stack(moved).reshape(D, -1).T
    expected = ours.scale * ours.up(z.relu())
    torch.testing.assert_close(ours(x), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_without_kernels_it_is_the_bottleneck_adapter():
    ours, plain = adapter(3, 3), BottleneckAdapter(C, D, drop_rate=0.0)
    nn.init.zeros_(ours.kernels.weight), nn.init.zeros_(ours.kernels.bias)
    plain.load_state_dict(ours.state_dict(), strict=False)
    x = torch.randn(2, 11, C)
    torch.testing.assert_close(ours(x), plain(x))


@torch.no_grad()
def test_images_do_not_see_each_other_and_patches_see_their_neighbours():
    ours = adapter(5, 5)
    x = torch.randn(3, PREFIX + 25, C)
    torch.testing.assert_close(ours(x)[[2, 0, 1]], ours(x[[2, 0, 1]]))
    other = x.clone()
    other[1] += 1
    assert torch.equal(ours(other)[[0, 2]], ours(x)[[0, 2]])
    nn.init.zeros_(ours.kernels.weight)  # fixed kernels: the mean over patches has no effect
    other = x.clone()
    other[0, PREFIX + 12] += 1  # the middle of the grid
    changed = (ours(other)[0] != ours(x)[0]).any(dim=1)
    rows = changed[PREFIX:].reshape(5, 5)
    assert not changed[:PREFIX].any() and rows[1:4, 1:4].all() and rows.sum() == 9


def test_it_needs_a_grid_that_the_tokens_fill():
    with pytest.raises(RuntimeError, match="attach"):
        InputConditionedAdapter(C)(torch.randn(1, 10, C))
    with pytest.raises(RuntimeError, match="8 tokens do not fill the grid of 3 x 3"):
        adapter(3, 3)(torch.randn(1, 8, C))


def test_the_grid_follows_the_input_and_prompts_are_prefix_tokens():
    config = dict(type="mmdyt.InputConditionedAdapter", bottleneck_dims=4)
    model = build(tiny_backbone(type="mmdyt.PromptedViT", num_prompts=3, adapter=config))
    for size in ((28, 28), (32, 20)):
        model(torch.randn(2, 3, *size))
        grid = model.layers[0].adapter["mlp"].grid
        assert (grid.rows, grid.columns) == (size[0] // 4, size[1] // 4)
