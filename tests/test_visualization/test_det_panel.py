"""The detection panel shows what it is given."""

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from mmdyt.visualization.det_panel import Objects, draw_det_panel
from tests.test_visualization.test_seg_panel import records


def test_boxes_have_their_places_and_colours():
    image = np.zeros((1, 8, 8, 3), np.uint8)
    masks = np.zeros((1, 8, 8), bool)
    truth = Objects(np.array([[1.0, 2, 5, 8]]), np.array([1]), masks)
    nothing = Objects(np.zeros((0, 4)), np.zeros(0, int))
    figure = draw_det_panel(
        image, [truth], [nothing], records(), (2, 2), ["red", "green"], [[255, 0, 0], [0, 255, 0]]
    )
    assert [axes.get_title() for axes in figure.axes[:3]] == [
        "truth",
        "prediction",
        "active tokens",
    ]
    frames = [
        [patch for patch in axes.patches if isinstance(patch, Rectangle)]
        for axes in figure.axes[:3]
    ]
    assert [len(each) for each in frames] == [1, 0, 0]
    assert frames[0][0].get_bbox().extents.tolist() == [0.5, 1.5, 4.5, 7.5]
    assert to_rgb(frames[0][0].get_edgecolor()) == (0, 1, 0)
    assert figure.axes[2].get_xlabel() == "mean 62%"
    assert [text.get_text() for text in figure.legends[0].texts] == ["red", "green"]
