"""Heads that the OpenMMLab libraries lack."""

from mmdyt.models.heads.attentive_pool import AttentivePool

__all__ = ["AttentivePool"]
