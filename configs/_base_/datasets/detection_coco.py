"""COCO 2017 with masks: the longer side resized to 1,024 px, 8 GPUs x 2 images.

The preprocessor pads every image to a square, so that all have the same tokens.
"""

image_size = 1024
source = dict(type="mmdyt.CheckedCocoDataset", data_root="data/coco")
load = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True, with_mask=True),
]
augment = [
    dict(type="RandomFlip", prob=0.5),
    dict(type="FilterAnnotations", min_gt_bbox_wh=(1e-2, 1e-2)),
]
resize = dict(type="Resize", scale=(image_size, image_size), keep_ratio=True)
pack_meta = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")
# At test annotations are loaded behind the resize: they keep the image's own size.
test_tail = [
    dict(type="LoadAnnotations", with_bbox=True, with_mask=True),
    dict(type="PackDetInputs", meta_keys=pack_meta),
]

loader = dict(num_workers=4, persistent_workers=True)
train_dataloader = dict(
    **loader,
    batch_size=2,
    sampler=dict(type="DefaultSampler", shuffle=True),
    batch_sampler=dict(type="AspectRatioBatchSampler"),
    dataset=dict(
        **source,
        ann_file="annotations/instances_train2017.json",
        data_prefix=dict(img="train2017/"),
        filter_cfg=dict(filter_empty_gt=True, min_size=32),
        pipeline=[*load, resize, *augment, dict(type="PackDetInputs")],
    ),
)
val_dataloader = dict(
    **loader,
    batch_size=1,
    drop_last=False,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        **source,
        ann_file="annotations/instances_val2017.json",
        data_prefix=dict(img="val2017/"),
        test_mode=True,
        pipeline=[dict(type="LoadImageFromFile"), resize, *test_tail],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(
    type="CocoMetric",
    ann_file="data/coco/annotations/instances_val2017.json",
    metric=["bbox", "segm"],
)
test_evaluator = val_evaluator
