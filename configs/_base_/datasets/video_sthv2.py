"""Something-Something V2: 8 frames over the video; RandAugment, no flip; test 1 clip x 3 crops.

Many classes are directions, so nothing is ever mirrored.
"""

_base_ = "video_224.py"

data_root = "data/sthv2/"
sample = dict(type="UniformSample", clip_len=_base_.num_frames)
load = [_base_.init, dict(**sample, test_mode=True), _base_.decode, _base_.short_side]
rand_augment = dict(
    type="mmpretrain.RandAugment",
    policies="timm_increasing",
    num_policies=4,
    magnitude_level=7,
    magnitude_std=0.5,
)
videos = dict(video=data_root + "videos")
val_set = dict(ann_file=data_root + "sthv2_val_list_videos.txt", data_prefix=videos)
train_dataloader = dict(
    dataset=dict(
        ann_file=data_root + "sthv2_train_list_videos.txt",
        data_prefix=videos,
        pipeline=[
            _base_.init,
            sample,
            _base_.decode,
            dict(type="mmdyt.ClipwiseTransform", transforms=[rand_augment]),
            dict(type="RandomResizedCrop", area_range=(0.08, 1.0)),
            dict(type="Resize", scale=(224, 224), keep_ratio=False),
            *_base_.pack,
        ],
    ),
)
val_dataloader = dict(dataset=dict(**val_set, pipeline=[*load, _base_.centre, *_base_.pack]))
test_dataloader = dict(
    dataset=dict(**val_set, pipeline=[*load, dict(type="ThreeCrop", crop_size=224), *_base_.pack]),
)
