"""Prefix tuning (Li and Liang, ACL 2021): ten trained keys and values in every attention."""

_base_ = "../models/vit-b16_in21k.py"

model = dict(backbone=dict(type="mmdyt.PrefixViT", prefix_length=10, gate="none"))
