"""Fashion-MNIST, 28 x 28, as mmpretrain's ``FashionMNIST`` reads it.

``python tools/dataset_converters/fashion_mnist.py`` fills the data folder.
"""

data_root = "data/fashion_mnist"
data_preprocessor = dict(num_classes=10, mean=[127.5] * 3, std=[127.5] * 3, to_rgb=False)

train_pipeline = [
    dict(type="mmdyt.GrayToRGB"),
    dict(type="RandomCrop", crop_size=28, padding=2),
    dict(type="RandomFlip", prob=0.5, direction="horizontal"),
    dict(
        type="RandomErasing",
        erase_prob=0.25,
        mode="rand",
        min_area_ratio=0.02,
        max_area_ratio=0.2,
    ),
    dict(type="PackInputs"),
]
test_pipeline = [dict(type="mmdyt.GrayToRGB"), dict(type="PackInputs")]

train_dataloader = dict(
    batch_size=128,
    num_workers=0,
    collate_fn=dict(type="default_collate"),
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(
        type="FashionMNIST",
        data_root=data_root,
        split="train",
        download=False,
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=128,
    num_workers=0,
    collate_fn=dict(type="default_collate"),
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="FashionMNIST",
        data_root=data_root,
        split="test",
        test_mode=True,
        download=False,
        pipeline=test_pipeline,
    ),
)
val_evaluator = dict(type="Accuracy", topk=(1,))
test_dataloader = val_dataloader
test_evaluator = val_evaluator
