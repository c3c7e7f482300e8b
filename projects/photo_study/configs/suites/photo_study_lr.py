"""Learning rates of the photo study: train on 800 images, choose on the 200 for validation.

Two tasks, one seed, half of the study's epochs, one grid for all methods, its middle first, and
three more rates for the linear probe, whose best lay at the grid's edge. All of it in bfloat16.
``choose_rates`` writes the best to ``learning_rates.py``.
"""

_base_ = "photo_study.py"

title = "Photo study: learning rates"
_names = ["linear", "adaptformer", "lora", "ssf", "dyt", "dyt-ssf", "random-weights"]
_grid = dict.fromkeys((3e-3, 1e-2, 1e-3, 3e-2), _names)
_grid |= dict.fromkeys((0.1, 0.3, 1.0), _names[:1])
tasks = {
    "_delete_": True,
    **{
        name: dict(
            title=_base_.tasks[name]["title"],
            cfg_options={
                **_base_.tasks[name]["cfg_options"],
                "train_dataloader.dataset.ann_file": "train800.txt",
                "test_dataloader.dataset.ann_file": "val200.txt",
                "train_cfg.max_epochs": 4,
                "param_scheduler.1.end": 4,
            },
        )
        for name in ("sign_digits", "clothing")
    },
}
methods = {
    "_delete_": True,
    **{
        f"{name}-lr{rate:g}": dict(
            title=f"{_base_.methods[name]['title']}, lr {rate:g}",
            config=_base_.methods[name]["config"],
            cfg_options={
                **_base_.methods[name]["cfg_options"],
                "optim_wrapper.type": "mmdyt.Bfloat16OptimWrapper",
                "optim_wrapper.optimizer.lr": rate,
                **(
                    {
                        "optim_wrapper.paramwise_cfg": dict(
                            custom_keys={".dispatcher.": dict(lr_mult=0.12 / rate)}
                        )
                    }
                    if name.startswith("dyt")
                    else {}
                ),
            },
        )
        for rate, names in _grid.items()
        for name in names
    },
}
seeds = [0]
