"""VPT-deep of ViT-B/16 on VTAB-1K's RESISC45."""

_base_ = ["../../../_base_/tuning/vpt_deep.py", "../../../_base_/tasks/vtab1k/resisc45.py"]

model = dict(head=dict(num_classes=_base_.data_preprocessor.num_classes))
