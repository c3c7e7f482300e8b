"""LoRA of ViT-B/16 on VTAB-1K's SmallNORB elevation."""

_base_ = ["../../../_base_/tuning/lora.py", "../../../_base_/tasks/vtab1k/smallnorb_ele.py"]

model = dict(head=dict(num_classes=_base_.data_preprocessor.num_classes))
