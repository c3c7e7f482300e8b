"""The photo study: a public ViT-S/14 on five tasks of photographs.

``make study-photo`` runs it. The learning rates are those that ``photo_study_lr.py`` found best
on validation images; dispatch takes the rate of what it is beside.
"""

_base_ = "../_base_/learning_rates.py"

title = "Photo study"
metric = "accuracy/top1"


def _task(name: str, title: str, num_classes: int) -> dict:
    return dict(
        title=title,
        cfg_options={
            "train_dataloader.dataset.data_root": f"data/photo/{name}",
            "test_dataloader.dataset.data_root": f"data/photo/{name}",
            "data_preprocessor.num_classes": num_classes,
            "model.head.num_classes": num_classes,
        },
    )


def _method(title: str, leaf: str, lr: float, tasks: tuple = (), **options) -> dict:
    options = {f"model.{key.replace('__', '.')}": value for key, value in options.items()}
    return dict(
        title=title,
        config=f"projects/photo_study/configs/{leaf}.py",
        cfg_options={"optim_wrapper.optimizer.lr": lr, **options},
        **(dict(tasks=list(tasks)) if tasks else {}),
    )


_lr = _base_.learning_rates
_ABLATED = ("clothing", "sign_digits")


def _ablation(title: str, leaf: str = "dyt", **options) -> dict:
    return _method(title, leaf, _lr["adaptformer"], _ABLATED, **options)


tasks = {
    name: _task(name, *rest)
    for name, *rest in [
        ("clothing", "Clothing", 10),
        ("sign_digits", "Sign digits", 10),
        ("photo_orientation", "Orientation", 4),
        ("blood_cells", "Blood cells", 3),
        ("cifar10", "CIFAR-10", 10),
    ]
}
methods = {
    "linear": _method("Linear probe", "plain", _lr["linear"]),
    "adaptformer": _method("AdaptFormer", "adaptformer", _lr["adaptformer"]),
    "dyt": _method("DyT, r = 0.5", "dyt", _lr["adaptformer"]),
    "lora": _method("LoRA", "lora", _lr["lora"]),
    "ssf": _method("SSF", "plain", _lr["ssf"], tuning="peft", backbone__type="mmdyt.SSFViT"),
    "dyt-ssf": _method("DyT with SSF, r = 0.5", "dyt_ssf", _lr["ssf"]),
    "dyt-r0.7": _method("DyT, r = 0.7", "dyt", _lr["adaptformer"], dyt__target_rate=0.7),
    "random-weights": _method(
        "AdaptFormer on random weights", "adaptformer", _lr["adaptformer"], backbone__init_cfg=None
    ),
    "dyt-no-distill": _ablation("DyT without distillation", dyt__distill_weight=0.0),
    "dyt-dynamic-only": _ablation(
        "DyT without distillation and complete model",
        dyt__distill_weight=0.0,
        dyt__complete_weight=0.0,
    ),
    "dyt-fixed": _ablation("DyT with a fixed target", "dyt_fixed"),
    "dyt-random": _ablation(
        "Random dispatch, r = 0.5",
        "dyt_fixed",
        backbone__dispatcher__type="mmdyt.RandomDispatcher",
    ),
    "dyt-attn": _ablation("DyT attn, r = 0.5", backbone__dispatch="attn"),
    "dyt-moe4": _ablation(
        "DyT, MoE-adapter, N = 4",
        backbone__adapter__type="mmdyt.MoEAdapter",
        backbone__adapter__num_experts=4,
    ),
}
seeds = [0, 1]
