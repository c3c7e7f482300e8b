"""Full tuning with UPerNet on ADE20K."""

_base_ = "upernet_dyt-vit-b16_8xb2-160k_ade20k-512x512.py"

# mmsegmentation's rate for ViT-B with UPerNet; the recipe's 1e-3 is for adapters.
optim_wrapper = dict(optimizer=dict(lr=6e-5))
model = dict(backbone=dict(dispatch=None, adapter=None), dyt=None, tuning="full")
