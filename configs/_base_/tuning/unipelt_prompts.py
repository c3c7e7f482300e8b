"""UniPELT with prompt tuning (arXiv 2405.05493): ten prompts before the first layer."""

_base_ = "unipelt.py"

model = dict(backbone=dict(num_prompts=10))
