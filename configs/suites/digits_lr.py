"""Learning rates of the digits demo: train on 800 images, choose on the 200 for validation.

One grid for all methods, and two more rates for the linear probe, whose best lay at the grid's
edge.
"""

_base_ = "digits.py"

title = "Digits: learning rates"
tasks = {
    "_delete_": True,
    "digits": dict(
        title="Digits",
        cfg_options={
            "train_dataloader.dataset.ann_file": "train800.txt",
            "val_dataloader.dataset.ann_file": "val200.txt",
            "test_dataloader.dataset.ann_file": "val200.txt",
        },
    ),
}
_grid = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1)
methods = {
    "_delete_": True,
    **{
        f"{name}-lr{rate:g}": dict(
            title=f"{title_}, lr {rate:g}",
            config=f"configs/image/digits/vit-mini_{name}_digits.py",
            cfg_options={"optim_wrapper.optimizer.lr": rate},
        )
        for name, title_ in [
            ("linear", "Linear probe"),
            ("adaptformer", "AdaptFormer"),
            ("full", "Full tuning"),
            ("dyt", "DyT r = 0.5"),
            ("dyt-fixed", "DyT r = 0.5, the paper's recipe"),
        ]
        for rate in (*_grid, *((0.3, 1.0) if name == "linear" else ()))
    },
}
seeds = [0, 1, 2]
