"""Scenes of real Fashion-MNIST items on textures, 64 x 64: boxes and masks, 4 classes.

``mmdyt.datasets.fashion_detection.write_fashion_detection`` fills the data folder.
"""

data_root = "data/fashion_scenes"
metainfo = dict(
    classes=("top", "trouser", "shoe", "bag"),
    palette=[(68, 119, 170), (34, 136, 51), (238, 102, 119), (204, 187, 68)],
)
source = dict(type="mmdyt.CheckedCocoDataset", data_root=data_root, metainfo=metainfo)
annotations = dict(type="LoadAnnotations", with_bbox=True, with_mask=True)
train_dataloader = dict(
    batch_size=3,
    num_workers=0,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(
        **source,
        ann_file="train.json",
        data_prefix=dict(img="images/train/"),
        pipeline=[
            dict(type="LoadImageFromFile"),
            annotations,
            dict(type="RandomFlip", prob=0.5),
            dict(type="PackDetInputs"),
        ],
    ),
)
val_dataloader = dict(
    batch_size=20,
    num_workers=0,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        **source,
        ann_file="test.json",
        data_prefix=dict(img="images/test/"),
        test_mode=True,
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="Resize", scale=(64, 64), keep_ratio=True),
            annotations,
            dict(
                type="PackDetInputs",
                meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
            ),
        ],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type="CocoMetric", ann_file=f"{data_root}/test.json", metric=["bbox", "segm"])
test_evaluator = val_evaluator
