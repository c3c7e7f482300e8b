"""COCO-Stuff 164k, 171 classes, ``*_labelTrainIds.png`` as mmsegmentation's converter writes."""

_base_ = "segmentation_512.py"

num_classes = 171
check = dict(type="mmdyt.CheckSegLabels", num_classes=num_classes)
source = dict(type="COCOStuffDataset", data_root="data/coco_stuff164k")
train_dataloader = dict(
    dataset=dict(
        **source,
        data_prefix=dict(img_path="images/train2017", seg_map_path="annotations/train2017"),
        pipeline=[*_base_.load, check, _base_.resize, *_base_.augment, _base_.pack],
    ),
)
val_dataloader = dict(
    dataset=dict(
        **source,
        data_prefix=dict(img_path="images/val2017", seg_map_path="annotations/val2017"),
        pipeline=[*_base_.test_load, check, _base_.pack],
    ),
)
test_dataloader = val_dataloader
