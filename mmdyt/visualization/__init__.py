"""Pictures, drawn with matplotlib."""

from mmdyt.visualization.budget_curve import draw_budget_curve
from mmdyt.visualization.curves import draw_curves, read_scalars
from mmdyt.visualization.det_panel import draw_det_panel
from mmdyt.visualization.prediction import describe_prediction, draw_prediction
from mmdyt.visualization.rate_bars import draw_rate_bars
from mmdyt.visualization.seg_panel import draw_seg_panel
from mmdyt.visualization.token_maps import (
    draw_token_map,
    draw_token_maps,
    shade_inactive,
    token_maps_of,
)

__all__ = [
    "describe_prediction",
    "draw_budget_curve",
    "draw_curves",
    "draw_det_panel",
    "draw_prediction",
    "draw_rate_bars",
    "draw_seg_panel",
    "draw_token_map",
    "draw_token_maps",
    "read_scalars",
    "shade_inactive",
    "token_maps_of",
]
