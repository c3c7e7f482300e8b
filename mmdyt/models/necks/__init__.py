"""Necks: what turns the backbone's maps into those that heads read."""

from mmdyt.models.necks.simple_feature_pyramid import SimpleFeaturePyramid

__all__ = ["SimpleFeaturePyramid"]
