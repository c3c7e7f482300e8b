"""DyT (MLP dispatch, r = 0.5) on composed scenes; ``make demo-seg`` runs it.

The paper's recipe, with a learning rate chosen for 200 iterations (``projects/recipe_study/``):
dispatchers that start open, and a complete model (``dyt-opened_...``), bring nothing on top.

Most pixels are background. Where all classes weigh the same, 200 iterations learn the shoes with
some seeds and not with others, whatever the method, and that decides the mIoU by ten points.
"""

_base_ = [
    "../../_base_/models/segmentation_fcn_vit-mini-p4.py",
    "../../_base_/datasets/segmentation_fashion_scenes.py",
    "../../_base_/schedules/segmentation_adamw_160k.py",
    "../../_base_/segmentation_runtime.py",
]

model = dict(
    data_preprocessor=_base_.data_preprocessor,
    decode_head=dict(loss_decode=dict(class_weight=[0.2, 1.0, 1.0, 1.0, 1.0])),
)

# Minutes on two cores instead of days on eight GPUs.
optim_wrapper = dict(optimizer=dict(lr=3e-2))
max_iters = 200
warmup_iters = 25
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, by_epoch=False, end=warmup_iters),
    dict(type="PolyLR", power=1.0, eta_min=0.0, by_epoch=False, begin=warmup_iters, end=max_iters),
]
train_cfg = dict(max_iters=max_iters, val_interval=100)
default_hooks = dict(checkpoint=dict(interval=50, max_keep_ckpts=1), logger=dict(interval=10))
