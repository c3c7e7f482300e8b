"""The plain ViT-S/14 on a task of photographs.

As it stands a linear probe of 4 epochs on CIFAR-10; suites set task, epochs and learning rate.
"""

_base_ = [
    "../../../configs/_base_/models/vit-s14_saliency-tuned.py",
    "_base_/photo.py",
    "../../transfer_study/configs/_base_/runtime.py",
]

data_preprocessor = dict(num_classes=10)
model = dict(tuning="linear")
source = dict(data_root="data/photo/cifar10", serialize_data=False)  # one process
train_dataloader = dict(dataset=source)
test_dataloader = dict(dataset=source)
val_dataloader = None  # the test at the end counts
val_evaluator = None

max_epochs = 4
# bfloat16: on a CPU that multiplies in it a step of DyT takes 0.58 of float32's time.
optim_wrapper = dict(
    type="mmdyt.Bfloat16OptimWrapper", optimizer=dict(type="AdamW", lr=1e-3, weight_decay=1e-4)
)
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

# A run takes minutes: no TensorBoard, and the files are not checked each time.
default_hooks = dict(checkpoint=dict(interval=1, max_keep_ckpts=1), logger=dict(interval=16))
custom_hooks = [
    dict(type="mmdyt.IterSeedHook"),
    dict(type="mmdyt.FiniteLossHook"),
    dict(type="mmdyt.DispatchStatsHook"),
    dict(type="mmdyt.AdapterCheckpointHook"),
]
visualizer = dict(vis_backends=[dict(type="LocalVisBackend")])
