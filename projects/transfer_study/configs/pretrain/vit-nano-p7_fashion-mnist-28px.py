"""Pre-train the ViT of the transfer study.

6 layers, 64 wide, patch 7, on 28 x 28 px: 16 + 1 tokens, 0.3 M parameters. So
small that hundreds of tunings of it fit into an hour of two cores.
"""

_base_ = ["../../../../configs/image/pretrain/vit-mini-p4_fashion-mnist-28px.py"]

model = dict(
    backbone=dict(
        arch=dict(embed_dims=64, num_layers=6, num_heads=4, feedforward_channels=256), patch_size=7
    ),
    head=dict(in_channels=64),
)

# The cosine is laid out for 8 epochs; the study is well served by 5 of them.
max_epochs, cosine_epochs = 5, 8
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-3, by_epoch=True, end=1, convert_to_iter_based=True),
    dict(
        type="CosineAnnealingLR",
        eta_min=1e-5,
        by_epoch=True,
        begin=1,
        end=cosine_epochs,
        convert_to_iter_based=True,
    ),
]
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
