"""Linear probe of ViT-B/16 on SVHN."""

_base_ = ["../../_base_/tuning/linear.py", "../../_base_/tasks/svhn.py"]

model = dict(head=dict(num_classes=_base_.data_preprocessor.num_classes))
