"""DyT (MLP dispatch, r = 0.5, d = 64) of ViT-B/16 on Stanford Cars, VPT's splits."""

_base_ = ["../../../_base_/tuning/dyt.py", "../../../_base_/tasks/fgvc/cars.py"]

model = dict(head=dict(num_classes=_base_.data_preprocessor.num_classes))
