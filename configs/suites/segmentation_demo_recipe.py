"""Recipe of the segmentation demo: what a training of 200 iterations needs.

Trains on the first 640 training scenes and chooses on the other 160; the test scenes are not read.
``python tools/demo_seg.py`` writes the data.
"""

title = "Segmentation demo: recipe"
metric = "mIoU"
_scenes = dict(img_path="images/train", seg_map_path="masks/train")
tasks = {
    "scenes": dict(
        title="Scenes",
        cfg_options={
            "train_dataloader.dataset.indices": 640,
            "val_dataloader.dataset.indices": list(range(640, 800)),
            "val_dataloader.dataset.data_prefix": _scenes,
            "test_dataloader.dataset.indices": list(range(640, 800)),
            "test_dataloader.dataset.data_prefix": _scenes,
            "default_hooks.checkpoint.interval": 100,
        },
    )
}


def _method(title: str, leaf: str, lr: float, **options) -> dict:
    return dict(
        title=f"{title}, lr {lr:g}",
        config=f"configs/segmentation/demo/{leaf}_vit-mini_fcn_fashion-scenes.py",
        cfg_options={"optim_wrapper.optimizer.lr": lr, **options},
    )


_faster = {"optim_wrapper.paramwise_cfg": dict(custom_keys=dict(dispatcher=dict(lr_mult=5.0)))}
_end = "custom_hooks.5.end"  # of the RateScheduleHook
methods = {}
for _lr in (1e-2, 3e-3, 3e-2):
    for _name, _title, _leaf, _options in [
        ("dyt", "DyT", "dyt", {}),
        ("adaptformer", "AdaptFormer", "adaptformer", {}),
        ("dyt-early", "DyT, target reached at half time", "dyt", {_end: 0.5}),
        ("dyt-fast", "DyT, dispatchers 5 times as fast", "dyt", _faster),
        ("dyt-tau1", "DyT, tau 1", "dyt", {"model.backbone.dispatcher.tau": 1.0}),
        ("linear", "Linear probe", "linear", {}),
        ("dyt-fixed", "DyT, the paper's recipe", "dyt-fixed", {}),
    ]:
        methods[f"{_name}-lr{_lr:g}"] = _method(_title, _leaf, _lr, **_options)
seeds = [0, 1, 2]
