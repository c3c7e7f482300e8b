"""ADE20K, 150 classes; the data set drops label 0 (``reduce_zero_label``)."""

_base_ = "segmentation_512.py"

num_classes = 150
check = dict(type="mmdyt.CheckSegLabels", num_classes=num_classes)
source = dict(type="ADE20KDataset", data_root="data/ade/ADEChallengeData2016")
train_dataloader = dict(
    dataset=dict(
        **source,
        data_prefix=dict(img_path="images/training", seg_map_path="annotations/training"),
        pipeline=[*_base_.load, check, _base_.resize, *_base_.augment, _base_.pack],
    ),
)
val_dataloader = dict(
    dataset=dict(
        **source,
        data_prefix=dict(img_path="images/validation", seg_map_path="annotations/validation"),
        pipeline=[*_base_.test_load, check, _base_.pack],
    ),
)
test_dataloader = val_dataloader
