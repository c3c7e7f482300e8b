"""VPT-deep of ViT-B/16 on SVHN. Paper: 95.72 %."""

_base_ = ["../../_base_/tuning/vpt_deep.py", "../../_base_/tasks/svhn.py"]

model = dict(head=dict(num_classes=_base_.data_preprocessor.num_classes))
