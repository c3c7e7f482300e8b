"""BitFit of ViT-B/16 on VTAB-1K's SmallNORB azimuth."""

_base_ = ["../../../_base_/tuning/bitfit.py", "../../../_base_/tasks/vtab1k/smallnorb_azi.py"]

model = dict(head=dict(num_classes=_base_.data_preprocessor.num_classes))
