"""The models of ``photo_budgets.py``, trained for 8 epochs instead of 4."""

_base_ = "photo_budgets.py"

title = "Photographs: rates trained for, 8 epochs"
tasks = {
    name: dict(cfg_options={"train_cfg.max_epochs": 8, "param_scheduler.1.end": 8})
    for name in ("sign_digits", "clothing")
}
seeds = [0, 1, 2]
