"""A task of photographs in VTAB-1K's layout at 98 px: 7 x 7 patches of 14 px, no augmentation.

``tools/dataset_converters/photo_tasks.py`` writes the data folders. A task sets its folder and
its number of classes. To select on the validation images, set ``ann_file`` to ``train800.txt``
and ``val200.txt``.
"""

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
