"""The plain ViT on a task of the transfer study, and a schedule of seconds.

As it stands a linear probe; the suite sets ``model.tuning`` and the task.
"""

_base_ = [
    "_base_/vit-nano-p7.py",
    "_base_/dataset.py",
    "_base_/runtime.py",
]

model = dict(tuning="linear")

max_epochs = 8
optim_wrapper = dict(optimizer=dict(type="AdamW", lr=1e-3, weight_decay=1e-4))
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, by_epoch=True, end=1, convert_to_iter_based=True),
    dict(
        type="CosineAnnealingLR",
        eta_min=0,
        by_epoch=True,
        begin=1,
        end=max_epochs,
        convert_to_iter_based=True,
    ),
]
train_cfg = dict(by_epoch=True, max_epochs=max_epochs)
test_cfg = dict()

# Hundreds of runs of seconds: one checkpoint at the end, no TensorBoard, and the files are
# not checked each time.
default_hooks = dict(checkpoint=dict(interval=-1, save_last=True), logger=dict(interval=16))
custom_hooks = [
    dict(type="mmdyt.IterSeedHook"),
    dict(type="mmdyt.FiniteLossHook"),
    dict(type="mmdyt.DispatchStatsHook"),
    dict(type="mmdyt.AdapterCheckpointHook"),
]
visualizer = dict(vis_backends=[dict(type="LocalVisBackend")])
