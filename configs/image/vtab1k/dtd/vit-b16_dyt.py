"""DyT (MLP, r = 0.5, d = 8) of ViT-B/16 on VTAB-1K's DTD."""

_base_ = ["../../../_base_/tuning/dyt_d8.py", "../../../_base_/tasks/vtab1k/dtd.py"]

model = dict(head=dict(num_classes=_base_.data_preprocessor.num_classes))
