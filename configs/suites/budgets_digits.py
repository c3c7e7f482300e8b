"""DyT on digits at four activation rates, three seeds.

``python -m projects.budget_study.measure configs/suites/budgets_digits.py`` then sets each
model to the rates of the others.
"""

_base_ = "digits.py"

title = "Digits: rates trained for"
methods = {
    "_delete_": True,
    **{
        f"dyt-r{rate}": dict(
            title=f"DyT r = {rate}",
            config="configs/image/digits/vit-mini_dyt-fixed_digits.py",
            cfg_options={"model.dyt.target_rate": rate},
        )
        for rate in (0.3, 0.5, 0.7, 0.9)
    },
}
seeds = [0, 1, 2]
