"""COCO 2017 with masks: the longer side resized to 512 px."""

_base_ = "detection_coco.py"

resize = dict(_base_.resize, scale=(512, 512))
train_dataloader = dict(
    dataset=dict(pipeline=[*_base_.load, resize, *_base_.augment, dict(type="PackDetInputs")])
)
val_dataloader = dict(
    dataset=dict(pipeline=[dict(type="LoadImageFromFile"), resize, *_base_.test_tail])
)
test_dataloader = val_dataloader
