"""Pascal VOC 2012 with the augmented annotations, 21 classes."""

_base_ = "segmentation_512.py"

num_classes = 21
check = dict(type="mmdyt.CheckSegLabels", num_classes=num_classes)
source = dict(type="PascalVOCDataset", data_root="data/VOCdevkit/VOC2012")
train_pipeline = [*_base_.load, check, _base_.resize, *_base_.augment, _base_.pack]
train_set = dict(
    **source,
    data_prefix=dict(img_path="JPEGImages", seg_map_path="SegmentationClass"),
    ann_file="ImageSets/Segmentation/train.txt",
    pipeline=train_pipeline,
)
augmented_set = dict(
    **source,
    data_prefix=dict(img_path="JPEGImages", seg_map_path="SegmentationClassAug"),
    ann_file="ImageSets/Segmentation/aug.txt",
    pipeline=train_pipeline,
)
train_dataloader = dict(dataset=dict(type="ConcatDataset", datasets=[train_set, augmented_set]))
val_dataloader = dict(
    dataset=dict(
        **source,
        data_prefix=dict(img_path="JPEGImages", seg_map_path="SegmentationClass"),
        ann_file="ImageSets/Segmentation/val.txt",
        pipeline=[*_base_.test_load, check, _base_.pack],
    ),
)
test_dataloader = val_dataloader
