"""VTAB-1K in the layout of the common split: train on 800 + 200, test on all of ``test.txt``.

A task sets its folder (``data_root``) and its number of classes. To select on the
200 validation images, set ``ann_file`` to ``train800.txt`` and ``val200.txt``.
"""

data_preprocessor = dict(mean=[127.5] * 3, std=[127.5] * 3, to_rgb=True)

pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(224, 224), backend="pillow", interpolation="bicubic"),
    dict(type="PackInputs"),
]
loader = dict(
    num_workers=4,
    persistent_workers=False,
    pin_memory=True,
    collate_fn=dict(type="default_collate"),
)
train_dataloader = dict(
    **loader,
    batch_size=64,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(type="CustomDataset", ann_file="train800val200.txt", pipeline=pipeline),
)
val_dataloader = dict(
    **loader,
    batch_size=256,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(type="CustomDataset", ann_file="test.txt", pipeline=pipeline),
)
val_evaluator = dict(type="Accuracy", topk=(1,))
test_dataloader = val_dataloader
test_evaluator = val_evaluator
