"""DyT on photographs at four activation rates and for a range of them, three seeds, 800 images.

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
            },
        )
        for name in ("sign_digits", "clothing")
    },
}
methods = {
    "_delete_": True,
    **{
        name: dict(
            title=title,
            config=_base_.methods["dyt"]["config"],
            cfg_options={
                **_base_.methods["dyt"]["cfg_options"],
                "optim_wrapper.optimizer.lr": 3e-3,
                "model.dyt.target_rate": rate,
            },
        )
        for name, title, rate in (
            ("dyt-r0.5", "DyT r = 0.5", 0.5),
            ("dyt-range", "DyT r = 0.3 to 0.9", (0.3, 0.9)),
            ("dyt-r0.3", "DyT r = 0.3", 0.3),
            ("dyt-r0.7", "DyT r = 0.7", 0.7),
            ("dyt-r0.9", "DyT r = 0.9", 0.9),
        )
    },
}
seeds = [0, 1, 2]
