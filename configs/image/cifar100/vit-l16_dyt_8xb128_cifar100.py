"""DyT (MLP dispatch, r = 0.5, d = 64) of ViT-L/16 on CIFAR-100."""

_base_ = "vit-b16_dyt_8xb128_cifar100.py"

model = dict(
    backbone=dict(arch="large", init_cfg=dict(checkpoint="checkpoints/vit-l16_in21k.safetensors")),
    head=dict(in_channels=1024),
)
