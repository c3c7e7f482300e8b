"""Learning rates of the detection demo: train on 640 scenes, choose on 160 others for training.

``python tools/demo_det.py`` writes the data; the test scenes are not read. One grid for all.
"""

title = "Detection demo: learning rates"
metric = "coco/bbox_mAP"
_val = dict(ann_file="val160.json", data_prefix=dict(img="images/train/"))
tasks = {
    "scenes": dict(
        title="Scenes",
        cfg_options={
            "train_dataloader.dataset.ann_file": "train640.json",
            "val_evaluator.ann_file": "data/fashion_scenes/val160.json",
            "test_evaluator.ann_file": "data/fashion_scenes/val160.json",
            **{f"val_dataloader.dataset.{key}": value for key, value in _val.items()},
            **{f"test_dataloader.dataset.{key}": value for key, value in _val.items()},
        },
    )
}
methods = {
    f"{name}-lr{lr:g}": dict(
        title=f"{title_}, lr {lr:g}",
        config=f"configs/detection/demo/{name}_vit-mini_mask-rcnn_fashion-scenes.py",
        cfg_options={"optim_wrapper.optimizer.lr": lr},
    )
    for name, title_ in [
        ("linear", "Linear probe"),
        ("adaptformer", "AdaptFormer"),
        ("dyt", "DyT r = 0.5"),
    ]
    for lr in (1e-3, 3e-3, 1e-2, 3e-2)
}
seeds = [0, 1, 2]
