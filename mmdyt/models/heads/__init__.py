"""Heads that the OpenMMLab libraries lack."""
