"""HMDB-51, split 1: 8 frames over the video; jitter and flip; test 3 clips x 1 crop.

The paper gives no recipe; Kinetics-400's, but for the sampling: a video has some
90 frames, less than 8 frames with stride 16 span.

``tools/dataset_converters/video_lists.py`` makes and checks the lists. 8 GPUs x 16.
"""

dataset_type = "mmdyt.SkippingVideoDataset"
data_root = "data/hmdb51/"
num_frames = 8
train_pipeline = [
    dict(type="DecordInit"),
    dict(type="UniformSample", clip_len=num_frames),
    dict(type="DecordDecode"),
    dict(type="RandomRescale", scale_range=(224, 258)),  # 1.0 to 1.15 times 224
    dict(type="RandomCrop", size=224),
    dict(type="Flip", flip_ratio=0.5),
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
    dict(type="UniformSample", clip_len=num_frames, num_clips=3, test_mode=True),
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
        ann_file=data_root + "hmdb51_train_split_1_videos.txt",
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
        ann_file=data_root + "hmdb51_val_split_1_videos.txt",
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
        ann_file=data_root + "hmdb51_val_split_1_videos.txt",
        data_prefix=dict(video=data_root + "videos"),
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
val_evaluator = dict(type="AccMetric")
test_evaluator = val_evaluator
