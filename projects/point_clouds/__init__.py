"""DAPT and DyT on point clouds: an encoder as Point-MAE's, and digits lifted to clouds."""

from projects.point_clouds.digit_clouds import DigitClouds
from projects.point_clouds.point_transformer import DAPTPointTransformer, DyTPointTransformer

__all__ = ["DAPTPointTransformer", "DigitClouds", "DyTPointTransformer"]
