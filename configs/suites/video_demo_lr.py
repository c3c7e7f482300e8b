"""Learning rates of the video demo: train on 240 clips, choose on the other 80 for training.

``python tools/demo_video.py`` writes the data; the test clips are not read. A clip's digit is in
no other. One grid for both methods.
"""

title = "Video demo: learning rates"
metric = "acc/top1"
_val = {"indices": list(range(240, 320)), "ann_file": "data/motion/train.txt"}
tasks = {
    "motion": dict(
        title="Motions",
        cfg_options={
            "train_dataloader.dataset.indices": 240,
            **{f"val_dataloader.dataset.{key}": value for key, value in _val.items()},
            **{f"test_dataloader.dataset.{key}": value for key, value in _val.items()},
        },
    )
}
methods = {
    f"{name}-lr{lr:g}": dict(
        title=f"{title_}, lr {lr:g}",
        config=f"configs/video/demo/{name}_vit-mini_motion.py",
        cfg_options={"optim_wrapper.optimizer.lr": lr},
    )
    for name, title_ in [("linear", "Linear probe"), ("dyt", "DyT r = 0.5")]
    for lr in (1e-3, 3e-3, 1e-2, 3e-2)
}
seeds = [0]
