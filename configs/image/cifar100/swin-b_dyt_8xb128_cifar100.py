"""DyT (MLP dispatch, r = 0.5, d = 64) of Swin-B on CIFAR-100."""

_base_ = ["../../_base_/models/swin-b_in21k.py", "../../_base_/tasks/cifar100.py"]
