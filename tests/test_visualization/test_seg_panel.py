"""The segmentation panel shows what it is given."""

import numpy as np
import torch

from mmdyt.structures import DispatchRecord
from mmdyt.visualization import draw_seg_panel
from mmdyt.visualization.seg_panel import IGNORED, colour_mask, token_depth

PALETTE = [[0, 0, 0], [10, 20, 30]]


def records() -> list[DispatchRecord]:
    """Two dispatchers on one image of 2 x 2 patches: all, then the first only."""
    masks = torch.tensor([[[True] * 5], [[True, True, False, False, False]]])
    return [DispatchRecord(i, "mlp", mask, None, num_prefix=1) for i, mask in enumerate(masks)]


def test_masks_get_the_colours_of_their_classes():
    coloured = colour_mask(np.array([[0, 1, 255]]), PALETTE)
    assert coloured.tolist() == [[*PALETTE, list(IGNORED)]]


def test_token_depth_is_the_share_of_dispatchers_per_patch():
    assert token_depth(records(), (2, 2)).tolist() == [[[1.0, 0.5], [0.5, 0.5]]]


def test_a_panel_has_four_pictures_a_row_and_a_legend():
    mask = np.zeros((1, 8, 8), int)
    image = np.zeros((1, 8, 8, 3), np.uint8)
    figure = draw_seg_panel(image, mask, mask, records(), (2, 2), ["ground", "item"], PALETTE)
    titles = [axes.get_title() for axes in figure.axes[:4]]
    assert titles == ["image", "truth", "prediction", "active tokens"]
    assert [text.get_text() for text in figure.legends[0].texts] == ["ground", "item"]
