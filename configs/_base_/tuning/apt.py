"""APT (Zhang et al., ACL 2023): prefixes that each image gates and each layer scales."""

_base_ = "prefix.py"

model = dict(backbone=dict(gate="token", layer_scale=True))
