"""VPT-deep of ViT-B/16 on FGVC-Aircraft."""

_base_ = ["../../_base_/tuning/vpt_deep.py", "../../_base_/tasks/aircraft.py"]

model = dict(head=dict(num_classes=_base_.data_preprocessor.num_classes))
