"""DyT on photographs at four activation rates, three seeds, on 800 images.

The learning rate is this suite's own: one that ``choose_rates`` finds later makes no run stale.
The 200 images for validation are left to calibrate on:
``python -m projects.budget_study.measure projects/photo_study/configs/suites/photo_budgets.py``.
"""

_base_ = "photo_study.py"

title = "Photographs: rates trained for"
tasks = {
    "_delete_": True,
    **{
        name: dict(
            title=_base_.tasks[name]["title"],
            cfg_options={
                **_base_.tasks[name]["cfg_options"],
                "train_dataloader.dataset.ann_file": "train800.txt",
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
        f"dyt-r{rate}": dict(
            title=f"DyT r = {rate}",
            config=_base_.methods["dyt"]["config"],
            cfg_options={
                "optim_wrapper.optimizer.lr": 3e-3,
                "model.dyt.target_rate": rate,
            },
        )
        for rate in (0.3, 0.9, 0.5, 0.7)
    },
}
seeds = [0, 1, 2]
