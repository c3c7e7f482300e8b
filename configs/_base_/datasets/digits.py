"""scikit-learn's real digits in VTAB-1K's layout: train on 800 + 200, test on 797.

``python tools/dataset_converters/digits.py`` writes the data folder.
"""

data_root = "data/digits"
data_preprocessor = dict(num_classes=10, mean=[127.5] * 3, std=[127.5] * 3, to_rgb=True)

pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(28, 28), interpolation="bicubic"),
    dict(type="PackInputs"),
]
train_dataloader = dict(
    batch_size=50,
    num_workers=0,
    collate_fn=dict(type="default_collate"),
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(
        type="CustomDataset",
        data_root=data_root,
        ann_file="train800val200.txt",
        metainfo=dict(classes=[str(digit) for digit in range(10)]),
        pipeline=pipeline,
    ),
)
test_dataloader = dict(
    batch_size=100,
    num_workers=0,
    collate_fn=dict(type="default_collate"),
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="CustomDataset",
        data_root=data_root,
        ann_file="test.txt",
        metainfo=dict(classes=[str(digit) for digit in range(10)]),
        pipeline=pipeline,
    ),
)
test_evaluator = dict(type="Accuracy", topk=(1,))
val_dataloader = test_dataloader
val_evaluator = test_evaluator
