"""Full tuning with UPerNet on COCO-Stuff164k."""

_base_ = "upernet_dyt-vit-b16_8xb2-80k_coco_stuff164k-512x512.py"

# mmsegmentation's rate for ViT-B with UPerNet; the recipe's 1e-3 is for adapters.
optim_wrapper = dict(optimizer=dict(lr=6e-5))
model = dict(backbone=dict(dispatch=None, adapter=None), dyt=None, tuning="full")
