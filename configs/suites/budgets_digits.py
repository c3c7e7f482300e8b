"""DyT on digits at four activation rates and for a range of them, three seeds.

``python -m projects.budget_study.measure configs/suites/budgets_digits.py`` then sets each
model to the rates of the others.
"""

_base_ = "digits.py"

title = "Digits: rates trained for"
methods = {
    "_delete_": True,
    **{
        name: dict(
            title=title,
            config="configs/image/digits/vit-mini_dyt_digits.py",
            cfg_options={"model.dyt.target_rate": rate},
        )
        for name, title, rate in (
            ("dyt-r0.3", "DyT r = 0.3", 0.3),
            ("dyt-r0.5", "DyT r = 0.5", 0.5),
            ("dyt-r0.7", "DyT r = 0.7", 0.7),
            ("dyt-r0.9", "DyT r = 0.9", 0.9),
            ("dyt-range", "DyT r = 0.3 to 0.9", (0.3, 0.9)),
        )
    },
}
seeds = [0, 1, 2]
