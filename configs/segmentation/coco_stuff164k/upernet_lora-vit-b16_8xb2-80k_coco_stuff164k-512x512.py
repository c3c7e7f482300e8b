"""LoRA of rank 16 on queries, keys and values with UPerNet on COCO-Stuff164k."""

_base_ = "upernet_dyt-vit-b16_8xb2-80k_coco_stuff164k-512x512.py"

model = dict(
    backbone=dict(
        _delete_=True,
        type="mmpretrain.LoRAModel",
        alpha=16,
        rank=16,
        drop_rate=0.1,
        targets=[dict(type="qkv")],
        module=dict(
            type="mmpretrain.VisionTransformer",
            arch="base",
            img_size=512,
            patch_size=16,
            drop_path_rate=0.1,
            out_type="featmap",
            out_indices=[3, 5, 7, 11],
            final_norm=False,
            init_cfg=dict(type="Pretrained", checkpoint="checkpoints/vit-b16_in21k.safetensors"),
        ),
    )
)
