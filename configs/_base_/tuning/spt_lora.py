"""SPT (He et al., ICCV 2023) with LoRA: what ``tools/analysis_tools/sensitivity.py`` selected."""

_base_ = "../models/vit-b16_in21k.py"

model = dict(backbone=dict(type="mmdyt.SPTViT", selection="work_dirs/spt_lora.safetensors", rank=8))
