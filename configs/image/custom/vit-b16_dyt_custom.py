"""DyT (MLP dispatch, r = 0.5, d = 64) of ViT-B/16 on images of your own: copy this file anywhere.

One folder per class, ``data/custom/train/<class>/*.jpg`` and ``data/custom/val/<class>/*.jpg``.
"""

_base_ = [
    "mmdyt::_base_/tuning/dyt.py",
    "mmdyt::_base_/datasets/image_224.py",
    "mmdyt::_base_/schedules/vtab_adamw_100e.py",
    "mmdyt::_base_/default_runtime.py",
]

classes = ["cat", "dog"]
data_root = "data/custom"

model = dict(head=dict(num_classes=len(classes)))
data_preprocessor = dict(num_classes=len(classes))
dataset = dict(type="CustomDataset", metainfo=dict(classes=classes))
# The schedule's learning rate is for 64 images in all; with others, --auto-scale-lr.
train_dataloader = dict(batch_size=64, dataset=dict(**dataset, data_root=f"{data_root}/train"))
val_dataloader = dict(batch_size=64, dataset=dict(**dataset, data_root=f"{data_root}/val"))
test_dataloader = val_dataloader
val_evaluator = dict(topk=(1,))
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(save_best="accuracy/top1", rule="greater"))
