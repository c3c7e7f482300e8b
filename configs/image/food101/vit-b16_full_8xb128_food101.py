"""Full tuning of ViT-B/16 on Food-101. Paper: 90.69 %."""

_base_ = ["../../_base_/tuning/full.py", "../../_base_/tasks/food101.py"]

model = dict(head=dict(num_classes=_base_.data_preprocessor.num_classes))
