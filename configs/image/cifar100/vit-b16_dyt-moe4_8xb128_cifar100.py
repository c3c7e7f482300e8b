"""DyT with a MoE-adapter of four experts on CIFAR-100."""

_base_ = "vit-b16_dyt_8xb128_cifar100.py"

model = dict(backbone=dict(adapter=dict(type="mmdyt.MoEAdapter", num_experts=4)))
