"""Moving digits: real scans, real MP4 files, eight motions; 320 to train, 160 to test.

``tools/demo_video.py`` writes the data folder.
"""

data_root = "data/motion/"
train_pipeline = [
    dict(type="DecordInit"),
    dict(type="UniformSample", clip_len=8),
    dict(type="DecordDecode"),
    dict(type="FormatShape", input_format="NCHW"),
    dict(type="PackActionInputs"),
]
test_pipeline = [
    dict(type="DecordInit"),
    dict(type="UniformSample", clip_len=8, test_mode=True),
    dict(type="DecordDecode"),
    dict(type="FormatShape", input_format="NCHW"),
    dict(type="PackActionInputs"),
]
train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(
        type="mmdyt.SkippingVideoDataset",
        ann_file=data_root + "train.txt",
        data_prefix=dict(video=data_root),
        pipeline=train_pipeline,
    ),
)
test_dataloader = dict(
    batch_size=40,
    num_workers=0,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="mmdyt.SkippingVideoDataset",
        ann_file=data_root + "test.txt",
        data_prefix=dict(video=data_root),
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_evaluator = dict(type="AccMetric", metric_options=dict(top_k_accuracy=dict(topk=(1,))))
val_dataloader = test_dataloader
val_evaluator = test_evaluator
