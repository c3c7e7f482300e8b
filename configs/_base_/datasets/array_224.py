"""Full image sets that hold their images as RGB arrays: nothing to load, nothing to swap."""

_base_ = "image_224.py"

data_preprocessor = dict(to_rgb=False)
train_dataloader = dict(dataset=dict(pipeline=_base_.train_pipeline[1:]))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline[1:]))
test_dataloader = val_dataloader
