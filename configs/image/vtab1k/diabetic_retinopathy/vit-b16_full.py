"""Full tuning of ViT-B/16 on VTAB-1K's Diabetic Retinopathy."""

_base_ = ["../../../_base_/tuning/full.py", "../../../_base_/tasks/vtab1k/diabetic_retinopathy.py"]

model = dict(head=dict(num_classes=_base_.data_preprocessor.num_classes))
