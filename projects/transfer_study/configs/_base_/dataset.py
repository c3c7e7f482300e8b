"""A task of the transfer study in VTAB-1K's layout: train on 800 + 200, test on ``test.txt``.

``python -m projects.transfer_study.write_tasks`` writes the data folders; the suite
``transfer_study.py`` names the tasks.
"""

data_root = "data/study/digits"
data_preprocessor = dict(num_classes=10, mean=[127.5] * 3, std=[127.5] * 3, to_rgb=True)

pipeline = [dict(type="LoadImageFromFile"), dict(type="PackInputs")]
dataset = dict(
    type="CustomDataset",
    data_root=data_root,
    serialize_data=False,  # one process: nothing to share between workers
    pipeline=pipeline,
)
train_dataloader = dict(
    batch_size=32,
    num_workers=0,
    collate_fn=dict(type="default_collate"),
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(ann_file="train800val200.txt", **dataset),
)
test_dataloader = dict(
    batch_size=128,
    num_workers=0,
    collate_fn=dict(type="default_collate"),
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(ann_file="test.txt", **dataset),
)
test_evaluator = dict(type="Accuracy", topk=(1,))
