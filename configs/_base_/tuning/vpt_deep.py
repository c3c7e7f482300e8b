"""VPT-deep (Jia et al., ECCV 2022): prompts of its own before every layer."""

_base_ = "../models/vit-b16_in21k.py"

model = dict(backbone=dict(type="mmdyt.PromptedViT", num_prompts=50, prompt_depth="deep"))
