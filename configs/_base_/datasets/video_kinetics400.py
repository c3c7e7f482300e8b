"""Kinetics-400: 8 frames, stride 16; short-side jitter and flip; test 3 clips x 1 crop.

``tools/dataset_converters/video_lists.py`` makes and checks the lists. 8 GPUs x 16.
"""

dataset_type = "mmdyt.SkippingVideoDataset"
data_root = "data/kinetics400/"
num_frames = 8
train_pipeline = [
    dict(type="DecordInit"),
    dict(type="SampleFrames", clip_len=num_frames, frame_interval=16, num_clips=1),
    dict(type="DecordDecode"),
    dict(type="RandomRescale", scale_range=(224, 258)),  # 1.0 to 1.15 times 224
    dict(type="RandomCrop", size=224),
    dict(type="Flip", flip_ratio=0.5),
    dict(type="FormatShape", input_format="NCHW"),
    dict(type="PackActionInputs"),
]
val_pipeline = [
    dict(type="DecordInit"),
    dict(type="SampleFrames", clip_len=num_frames, frame_interval=16, num_clips=1, test_mode=True),
    dict(type="DecordDecode"),
    dict(type="Resize", scale=(-1, 224)),
    dict(type="CenterCrop", crop_size=224),
    dict(type="FormatShape", input_format="NCHW"),
    dict(type="PackActionInputs"),
]
test_pipeline = [
    dict(type="DecordInit"),
    dict(type="SampleFrames", clip_len=num_frames, frame_interval=16, num_clips=3, test_mode=True),
    dict(type="DecordDecode"),
    dict(type="Resize", scale=(-1, 224)),
    dict(type="CenterCrop", crop_size=224),
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
        ann_file=data_root + "kinetics400_train_list_videos.txt",
        data_prefix=dict(video=data_root + "videos_train"),
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
        ann_file=data_root + "kinetics400_val_list_videos.txt",
        data_prefix=dict(video=data_root + "videos_val"),
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
        ann_file=data_root + "kinetics400_val_list_videos.txt",
        data_prefix=dict(video=data_root + "videos_val"),
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
val_evaluator = dict(type="AccMetric")
test_evaluator = val_evaluator
