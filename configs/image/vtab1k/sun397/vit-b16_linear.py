"""Linear probe of ViT-B/16 on VTAB-1K's SUN397."""

_base_ = ["../../../_base_/tuning/linear.py", "../../../_base_/tasks/vtab1k/sun397.py"]

model = dict(head=dict(num_classes=_base_.data_preprocessor.num_classes))
