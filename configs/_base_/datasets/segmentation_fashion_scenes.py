"""Scenes of real Fashion-MNIST items on textures, 64 x 64, 4 classes and background.

``mmdyt.datasets.fashion_scenes.write_fashion_scenes`` fills the data folder.
"""

data_root = "data/fashion_scenes"
num_classes = 5
data_preprocessor = dict(
    type="SegDataPreProcessor",
    mean=[127.5] * 3,
    std=[127.5] * 3,
    bgr_to_rgb=True,
    pad_val=0,
    seg_pad_val=255,
    size=(64, 64),
)
metainfo = dict(
    classes=("background", "top", "trouser", "shoe", "bag"),
    palette=[[40, 40, 40], [68, 119, 170], [34, 136, 51], [238, 102, 119], [204, 187, 68]],
)

train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations"),
    dict(type="mmdyt.CheckSegLabels", num_classes=num_classes),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackSegInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations"),
    dict(type="mmdyt.CheckSegLabels", num_classes=num_classes),
    dict(type="PackSegInputs"),
]
train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(
        type="BaseSegDataset",
        data_root=data_root,
        data_prefix=dict(img_path="images/train", seg_map_path="masks/train"),
        img_suffix=".png",
        metainfo=metainfo,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=20,
    num_workers=0,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="BaseSegDataset",
        data_root=data_root,
        data_prefix=dict(img_path="images/test", seg_map_path="masks/test"),
        img_suffix=".png",
        metainfo=metainfo,
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type="mmdyt.ClassIoUMetric", iou_metrics=["mIoU"])
test_evaluator = val_evaluator
