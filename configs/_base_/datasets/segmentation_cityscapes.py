"""Cityscapes, 19 classes, ``*_labelTrainIds.png`` as mmsegmentation's converter writes."""

_base_ = "segmentation_512.py"

num_classes = 19
check = dict(type="mmdyt.CheckSegLabels", num_classes=num_classes)
# Images of 1024 x 2048 px: twice the size of the others.
scale = (2048, 1024)
image, test_resize, annotations = _base_.test_load
source = dict(type="CityscapesDataset", data_root="data/cityscapes")
train_dataloader = dict(
    dataset=dict(
        **source,
        data_prefix=dict(img_path="leftImg8bit/train", seg_map_path="gtFine/train"),
        pipeline=[
            *_base_.load,
            check,
            dict(_base_.resize, scale=scale),
            *_base_.augment,
            _base_.pack,
        ],
    ),
)
val_dataloader = dict(
    dataset=dict(
        **source,
        data_prefix=dict(img_path="leftImg8bit/val", seg_map_path="gtFine/val"),
        pipeline=[image, dict(test_resize, scale=scale), annotations, check, _base_.pack],
    ),
)
test_dataloader = val_dataloader
