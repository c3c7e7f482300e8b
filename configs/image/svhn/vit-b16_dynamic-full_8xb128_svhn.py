"""Dynamic-Full (dispatch, no adapters) of ViT-B/16 on SVHN. Paper: 96.90 %."""

_base_ = ["../../_base_/tuning/dynamic_full.py", "../../_base_/tasks/svhn.py"]

model = dict(head=dict(num_classes=_base_.data_preprocessor.num_classes))
