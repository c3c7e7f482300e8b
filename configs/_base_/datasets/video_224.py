"""What the video sets share: 8 frames of 224 px, 8 GPUs x 16 videos, the parts of pipelines.

``tools/dataset_converters/video_lists.py`` makes and checks the lists.
"""

num_frames = 8
init = dict(type="DecordInit")
decode = dict(type="DecordDecode")
jitter_flip = [
    dict(type="RandomRescale", scale_range=(224, 258)),  # 1.0 to 1.15 times 224
    dict(type="RandomCrop", size=224),
    dict(type="Flip", flip_ratio=0.5),
]
short_side = dict(type="Resize", scale=(-1, 224))
centre = dict(type="CenterCrop", crop_size=224)
pack = [dict(type="FormatShape", input_format="NCHW"), dict(type="PackActionInputs")]

loader = dict(num_workers=8, persistent_workers=True)
train_dataloader = dict(
    **loader,
    batch_size=16,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(type="mmdyt.SkippingVideoDataset", max_unreadable_share=0.01),
)
val_dataloader = dict(
    **loader,
    batch_size=16,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(type="mmdyt.SkippingVideoDataset", test_mode=True),
)
test_dataloader = val_dataloader | dict(batch_size=4)  # a video has three views
val_evaluator = dict(type="AccMetric")
test_evaluator = val_evaluator
