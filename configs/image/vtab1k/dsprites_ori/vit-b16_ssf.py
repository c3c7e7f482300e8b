"""SSF of ViT-B/16 on VTAB-1K's dSprites orientation."""

_base_ = ["../../../_base_/tuning/ssf.py", "../../../_base_/tasks/vtab1k/dsprites_ori.py"]

model = dict(head=dict(num_classes=_base_.data_preprocessor.num_classes))
