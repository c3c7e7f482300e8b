"""E2VPT (Han et al., ICCV 2023): prompts in every layer, and shared key-value prompts."""

_base_ = "../models/vit-b16_in21k.py"

model = dict(
    backbone=dict(
        type="mmdyt.PromptedViT", num_prompts=10, prompt_depth="deep", kv_prompts=5, share_kv=True
    )
)
