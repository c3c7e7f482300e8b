"""Learning rates of the transfer study: train on 800 images, choose on the 200 for validation.

One task, one seed, three rates; of equals the larger, since the schedule is short.
All of the DyT family takes what is best for DyT.
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
        for name in ("mnist",)
    },
}
_rates = {"full": (1e-3, 3e-3, 1e-2)}
for _name in ("linear", "bitfit", "vpt", "ssf", "lora", "adaptformer", "dyt"):
    _rates[_name] = (3e-3, 1e-2, 3e-2)
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
        for name, rates in _rates.items()
        for rate in rates
    },
}
seeds = [0]
