"""Digits 5 to 9 of scikit-learn as clouds of 96 points: none that pre-training has seen."""

custom_imports = dict(imports=["projects.point_clouds"], allow_failed_imports=False)

data_preprocessor = dict(num_classes=5)
dataset = dict(
    type="mmdyt.DigitClouds",
    digits=[5, 6, 7, 8, 9],
    num_points=96,
    pipeline=[dict(type="PackInputs", input_key="points")],
)
train_dataloader = dict(
    batch_size=32,
    drop_last=True,  # 449 clouds would leave one, which the head's batch norms refuse
    num_workers=0,
    collate_fn=dict(type="default_collate"),
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(part="train", **dataset),
)
test_dataloader = dict(
    batch_size=112,
    num_workers=0,
    collate_fn=dict(type="default_collate"),
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(part="test", **dataset),
)
test_evaluator = dict(type="Accuracy", topk=(1,))
