"""VPT-deep of ViT-B/16 on CIFAR-100. Paper: 91.46 %."""

_base_ = ["../../_base_/tuning/vpt_deep.py", "../../_base_/tasks/cifar100.py"]

model = dict(head=dict(num_classes=_base_.data_preprocessor.num_classes))
