"""The photo study: a public ViT-S/14 on five tasks of photographs.

``make study-photo`` runs it. The learning rates are those that ``photo_study_lr.py`` found best
on validation images. Dispatchers learn at one rate, whatever that of the rest is. Methods train
in bfloat16, but for those that ran on a CPU that does not multiply in it.
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
            "train_cfg.max_epochs": 8,
            "param_scheduler.1.end": 8,
        },
    )


def _method(title: str, leaf: str, lr: float, **options) -> dict:
    cfg_options = {"optim_wrapper.optimizer.lr": lr}
    if leaf in ("dyt", "dyt_ssf"):
        dispatchers = {".dispatcher.": dict(lr_mult=0.12 / lr)}
        cfg_options["optim_wrapper.paramwise_cfg"] = dict(custom_keys=dispatchers)
    cfg_options |= {key.replace("__", "."): value for key, value in options.items()}
    return dict(
        title=title, config=f"projects/photo_study/configs/{leaf}.py", cfg_options=cfg_options
    )


def _float32(*args, **options) -> dict:
    return _method(*args, optim_wrapper__type="OptimWrapper", **options)


def _ablation(title: str, leaf: str = "dyt", **options) -> dict:
    return _float32(title, leaf, _lr["dyt"], **options) | dict(tasks=["clothing", "sign_digits"])


_lr = _base_.learning_rates


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
    "dyt": _method("DyT, r = 0.5", "dyt", _lr["dyt"]),
    "lora": _method("LoRA", "lora", _lr["lora"]),
    "ssf": _float32("SSF", "ssf", _lr["ssf"]),
    "dyt-ssf": _float32("DyT with SSF, r = 0.5", "dyt_ssf", _lr["dyt-ssf"]),
    "dyt-r0.7": _method("DyT, r = 0.7", "dyt", _lr["dyt"], model__dyt__target_rate=0.7),
    "random-weights": _method(
        "AdaptFormer on random weights",
        "adaptformer",
        _lr["random-weights"],
        model__backbone__init_cfg=None,
    ),
    "dyt-float32": _ablation("DyT, r = 0.5, in float32"),
    "dyt-no-opening": _ablation("DyT that does not open first", custom_hooks__4__begin=0.5),
    "dyt-fixed": _ablation("DyT in the paper's recipe", "dyt_fixed"),
    "dyt-random": _ablation(
        "Random dispatch, r = 0.5",
        "dyt_fixed",
        model__backbone__dispatcher__type="mmdyt.RandomDispatcher",
    ),
    "dyt-no-distill": _ablation("DyT without distillation", model__dyt__distill_weight=0.0),
    "dyt-dynamic-only": _ablation(
        "DyT without distillation and complete model",
        model__dyt__distill_weight=0.0,
        model__dyt__complete_weight=0.0,
    ),
    "dyt-attn": _ablation("DyT attn, r = 0.5", model__backbone__dispatch="attn"),
    "dyt-moe4": _ablation(
        "DyT, MoE-adapter, N = 4",
        model__backbone__adapter__type="mmdyt.MoEAdapter",
        model__backbone__adapter__num_experts=4,
    ),
}
seeds = [0, 1]
