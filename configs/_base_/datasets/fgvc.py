"""Fine-grained sets with the JSON splits of the VPT line of work.

Train on ``train.json``, validate on ``val.json``, test on ``test.json``. A task
sets its folder, the folder of its images and its number of classes.
"""

_base_ = "image_224.py"

train_dataloader = dict(dataset=dict(type="mmdyt.JsonSplit", split="train"))
val_dataloader = dict(dataset=dict(type="mmdyt.JsonSplit", split="val"))
test_dataloader = dict(dataset=dict(type="mmdyt.JsonSplit", split="test"))
