"""DyT of the small ViT on real digits; ``make demo`` runs it.

Dispatchers start open and close to the target rate, and the learning rate is 30 times the
paper's, chosen on validation images (``projects/recipe_study/``): ``vit-mini_dyt-fixed_digits.py``
has the paper's recipe.
"""

_base_ = "vit-mini_dyt-fixed_digits.py"

custom_hooks = [*_base_.custom_hooks, dict(type="mmdyt.RateScheduleHook")]
optim_wrapper = dict(optimizer=dict(lr=3e-2))
