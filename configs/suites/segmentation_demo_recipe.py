"""Recipe of the segmentation demo: what a training of 200 iterations needs.

Trains on the first 640 training scenes and chooses on the other 160; the test scenes are not read.
``python tools/demo_seg.py`` writes the data. One grid for all methods, and two more learning
rates for the linear probe, whose best lay at the grid's edge.
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


_leaves = {
    "linear": ("Linear probe", "linear"),
    "adaptformer": ("AdaptFormer", "adaptformer"),
    "dyt": ("DyT, opened first, with the complete model", "dyt-opened"),
}
_end, _begin = "custom_hooks.5.end", "custom_hooks.5.begin"  # of the RateScheduleHook
_faster = {"optim_wrapper.paramwise_cfg": dict(custom_keys=dict(dispatcher=dict(lr_mult=5.0)))}
_dynamic = {"model.dyt.complete_weight": 0.0, "model.dyt.distill_weight": 0.0}
methods = {
    **{
        f"{name}-lr{lr:g}": _method(title, leaf, lr)
        for name, (title, leaf) in _leaves.items()
        for lr in (1e-2, 3e-3, 3e-2, 0.1, *((0.3, 1.0) if name == "linear" else ()))
    },
    # Changes of the recipe at the best rate.
    "dyt-fixed": _method("The paper's: neither, as make demo-seg", "dyt", 3e-2, **_dynamic),
    "dyt-no-opening": _method("Not opened first", "dyt-opened", 3e-2, **{_begin: 0.5}),
    "dyt-dynamic-only": _method(
        "No complete model, no distillation", "dyt-opened", 3e-2, **_dynamic
    ),
    "dyt-early": _method("Target reached at half time", "dyt-opened", 3e-2, **{_end: 0.5}),
    "dyt-late": _method("Target reached at the end", "dyt-opened", 3e-2, **{_end: 1.0}),
    "dyt-fast": _method("Dispatchers 5 times as fast", "dyt-opened", 3e-2, **_faster),
    "dyt-tau1": _method("tau = 1", "dyt-opened", 3e-2, **{"model.backbone.dispatcher.tau": 1.0}),
}
seeds = [0, 1, 2]
