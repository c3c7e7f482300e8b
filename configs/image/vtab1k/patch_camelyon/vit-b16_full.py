"""Full tuning of ViT-B/16 on VTAB-1K's Patch Camelyon."""

_base_ = ["../../../_base_/tuning/full.py", "../../../_base_/tasks/vtab1k/patch_camelyon.py"]

model = dict(head=dict(num_classes=_base_.data_preprocessor.num_classes))
