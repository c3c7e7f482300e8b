"""Learning rates of the transfer study: train on 800 images, choose on the 200 for validation.

Two tasks, one seed, four rates. The DyT family has AdaptFormer's rate and scale,
so that their comparison is of the dispatch alone.
"""

_base_ = "transfer_study.py"

title = "Transfer study: learning rates"
tasks = {
    "_delete_": True,
    **{
        name: dict(
            group=_base_.tasks[name]["group"],
            title=_base_.tasks[name]["title"],
            cfg_options={
                **_base_.tasks[name]["cfg_options"],
                "train_dataloader.dataset.ann_file": "train800.txt",
                "test_dataloader.dataset.ann_file": "val200.txt",
            },
        )
        for name in ("mnist", "location")
    },
}
_plain = ["linear", "full", "bitfit", "vpt", "ssf", "lora", "adaptformer"]
methods = {
    "_delete_": True,
    **{
        f"{name}-lr{rate:g}": dict(
            title=f"{_base_.methods[name]['title']}, lr {rate:g}",
            config=_base_.methods[name]["config"],
            cfg_options={
                **_base_.methods[name]["cfg_options"],
                "optim_wrapper.optimizer.lr": rate,
            },
        )
        for name in _plain
        for rate in (1e-3, 3e-3, 1e-2, 3e-2)
    },
    **{
        f"adaptformer-s0.1-lr{rate:g}": dict(
            title=f"AdaptFormer, scale 0.1, lr {rate:g}",
            config=_base_.methods["adaptformer"]["config"],
            cfg_options={
                **_base_.methods["adaptformer"]["cfg_options"],
                "model.backbone.adapter.scale": 0.1,
                "optim_wrapper.optimizer.lr": rate,
            },
        )
        for rate in (1e-2, 3e-2)
    },
}
seeds = [0]
