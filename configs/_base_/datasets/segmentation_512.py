"""What the segmentation sets share: 512 x 512 crops, 8 GPUs x 2 images, mIoU.

A set's file puts its check of the labels between loading and the rest, and names
its type, folders and number of classes.
"""

crop_size = (512, 512)
load = [dict(type="LoadImageFromFile"), dict(type="LoadAnnotations")]
resize = dict(type="RandomResize", scale=(2048, 512), ratio_range=(0.5, 2.0), keep_ratio=True)
augment = [
    dict(type="RandomCrop", crop_size=crop_size, cat_max_ratio=0.75),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PhotoMetricDistortion"),
]
test_load = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(2048, 512), keep_ratio=True),
    # After the resize: predictions are compared at the size of the annotation.
    dict(type="LoadAnnotations"),
]
pack = dict(type="PackSegInputs")

loader = dict(num_workers=4, persistent_workers=True)
train_dataloader = dict(
    **loader, batch_size=2, sampler=dict(type="InfiniteSampler", shuffle=True), dataset=dict()
)
val_dataloader = dict(
    **loader, batch_size=1, sampler=dict(type="DefaultSampler", shuffle=False), dataset=dict()
)
test_dataloader = val_dataloader
val_evaluator = dict(type="IoUMetric", iou_metrics=["mIoU"])
test_evaluator = val_evaluator
