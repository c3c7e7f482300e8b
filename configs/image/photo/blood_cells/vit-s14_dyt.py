"""DyT (MLP dispatch, r = 0.5, d = 16), a public ViT-S/14, photographs: blood cells."""

_base_ = [
    "../../../_base_/models/vit-s14_dyt_saliency-tuned.py",
    "../../../_base_/tasks/photo/blood_cells.py",
]

model = dict(head=dict(num_classes=_base_.data_preprocessor.num_classes))
custom_hooks = [*_base_.custom_hooks, _base_.opening]
