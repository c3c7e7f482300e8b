"""DAPT with the token dispatch of DyT beside it."""

_base_ = ["dapt.py", "../../../configs/_base_/dispatch.py"]

model = dict(backbone=_base_.dispatch, dyt=_base_.dyt)
