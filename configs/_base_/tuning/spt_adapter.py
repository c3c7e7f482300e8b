"""SPT (He et al., ICCV 2023) with adapters, selected with ``--structured adapter``."""

_base_ = "spt_lora.py"

model = dict(backbone=dict(selection="work_dirs/spt_adapter.safetensors"))
