"""The study's own data: a change of ``configs/_base_/datasets/photo.py`` makes no record stale."""

data_preprocessor = dict(
    mean=[123.675, 116.28, 103.53],  # ImageNet's
    std=[58.395, 57.12, 57.375],
    to_rgb=True,
)

pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(98, 98), backend="pillow", interpolation="bicubic"),
    dict(type="PackInputs"),
]
loader = dict(num_workers=0, collate_fn=dict(type="default_collate"))
train_dataloader = dict(
    **loader,
    batch_size=32,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(type="CustomDataset", ann_file="train800val200.txt", pipeline=pipeline),
)
test_dataloader = dict(
    **loader,
    batch_size=50,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(type="CustomDataset", ann_file="test.txt", pipeline=pipeline),
)
test_evaluator = dict(type="Accuracy", topk=(1,))
val_dataloader = test_dataloader
val_evaluator = test_evaluator
