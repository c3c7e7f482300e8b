"""Dynamic-Full (dispatch, no adapters) of ViT-B/16 on Food-101. Paper: 84.46 %."""

_base_ = ["../../_base_/tuning/dynamic_full.py", "../../_base_/tasks/food101.py"]

model = dict(head=dict(num_classes=_base_.data_preprocessor.num_classes))
