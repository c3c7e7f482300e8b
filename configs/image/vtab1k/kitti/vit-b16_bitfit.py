"""BitFit of ViT-B/16 on VTAB-1K's KITTI distance."""

_base_ = ["../../../_base_/tuning/bitfit.py", "../../../_base_/tasks/vtab1k/kitti.py"]

model = dict(head=dict(num_classes=_base_.data_preprocessor.num_classes))
