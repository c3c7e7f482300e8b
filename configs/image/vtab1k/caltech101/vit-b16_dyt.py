"""DyT (MLP, r = 0.5, d = 8) of ViT-B/16 on VTAB-1K's Caltech-101."""

_base_ = ["../../../_base_/tuning/dyt_d8.py", "../../../_base_/tasks/vtab1k/caltech101.py"]

model = dict(head=dict(num_classes=_base_.data_preprocessor.num_classes))
