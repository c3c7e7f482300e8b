"""Full tuning of ViT-B/16 on SVHN. Paper: 97.29 %."""

_base_ = ["../../_base_/tuning/full.py", "../../_base_/tasks/svhn.py"]

model = dict(head=dict(num_classes=_base_.data_preprocessor.num_classes))
