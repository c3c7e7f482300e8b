"""Something-Something V2: 8 frames over the video; RandAugment, no flip; test 1 clip x 3 crops.

Many classes are directions, so nothing is ever mirrored.

``tools/dataset_converters/video_lists.py`` makes and checks the lists. 8 GPUs x 16.
"""

dataset_type = "mmdyt.SkippingVideoDataset"
data_root = "data/sthv2/"
num_frames = 8
train_pipeline = [
    dict(type="DecordInit"),
    dict(type="UniformSample", clip_len=num_frames),
    dict(type="DecordDecode"),
    dict(
        type="mmdyt.ClipwiseTransform",
        transforms=[
            dict(
                type="mmpretrain.RandAugment",
                policies="timm_increasing",
                num_policies=4,
                magnitude_level=7,
                magnitude_std=0.5,
            )
        ],
    ),
    dict(type="RandomResizedCrop", area_range=(0.08, 1.0)),
    dict(type="Resize", scale=(224, 224), keep_ratio=False),
    dict(type="FormatShape", input_format="NCHW"),
    dict(type="PackActionInputs"),
]
val_pipeline = [
    dict(type="DecordInit"),
    dict(type="UniformSample", clip_len=num_frames, test_mode=True),
    dict(type="DecordDecode"),
    dict(type="Resize", scale=(-1, 224)),
    dict(type="CenterCrop", crop_size=224),
    dict(type="FormatShape", input_format="NCHW"),
    dict(type="PackActionInputs"),
]
test_pipeline = [
    dict(type="DecordInit"),
    dict(type="UniformSample", clip_len=num_frames, test_mode=True),
    dict(type="DecordDecode"),
    dict(type="Resize", scale=(-1, 224)),
    dict(type="ThreeCrop", crop_size=224),
    dict(type="FormatShape", input_format="NCHW"),
    dict(type="PackActionInputs"),
]
train_dataloader = dict(
    batch_size=16,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(
        type=dataset_type,
        ann_file=data_root + "sthv2_train_list_videos.txt",
        data_prefix=dict(video=data_root + "videos"),
        pipeline=train_pipeline,
        max_unreadable_share=0.01,
    ),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type=dataset_type,
        ann_file=data_root + "sthv2_val_list_videos.txt",
        data_prefix=dict(video=data_root + "videos"),
        pipeline=val_pipeline,
        test_mode=True,
    ),
)
test_dataloader = dict(
    batch_size=4,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type=dataset_type,
        ann_file=data_root + "sthv2_val_list_videos.txt",
        data_prefix=dict(video=data_root + "videos"),
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
val_evaluator = dict(type="AccMetric")
test_evaluator = val_evaluator
