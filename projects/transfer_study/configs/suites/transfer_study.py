"""The transfer study: seven small tasks, 19 methods, three seeds.

``make study`` runs it (an hour and more on two cores); ``results.md`` has
the results. The learning rates are those that ``transfer_study_lr.py`` found
best on validation images.
"""

title = "Transfer study"
metric = "accuracy/top1"


def _task(name: str, group: str, title: str, num_classes: int) -> dict:
    return dict(
        group=group,
        title=title,
        cfg_options={
            "train_dataloader.dataset.data_root": f"data/study/{name}",
            "test_dataloader.dataset.data_root": f"data/study/{name}",
            "data_preprocessor.num_classes": num_classes,
            "model.head.num_classes": num_classes,
        },
    )


def _method(title: str, leaf: str, lr: float, **options) -> dict:
    options = {f"model.{key.replace('__', '.')}": value for key, value in options.items()}
    return dict(
        title=title,
        config=f"projects/transfer_study/configs/{leaf}.py",
        cfg_options={"optim_wrapper.optimizer.lr": lr, **options},
    )


def _dyt(title: str, **options) -> dict:
    return _method(title, "dyt", lr=3e-2, **options)


tasks = {
    name: _task(name, *rest)
    for name, *rest in [
        ("digits", "natural", "Digits", 10),
        ("mnist", "natural", "MNIST", 10),
        ("noisy", "altered", "Noisy digits", 10),
        ("rotated", "altered", "Rotated MNIST", 10),
        ("location", "structured", "Location", 16),
        ("orientation", "structured", "Orientation", 8),
        ("count", "structured", "Count", 8),
    ]
}
methods = {
    "linear": _method("Linear probe", "plain", lr=3e-2),
    "full": _method("Full tuning", "plain", lr=3e-3, tuning="full"),
    "bitfit": _method("BitFit", "plain", lr=3e-2, tuning="bitfit"),
    "vpt": _method("VPT-deep", "plain", lr=1e-2, tuning="peft", backbone__type="mmdyt.PromptedViT"),
    "ssf": _method("SSF", "plain", lr=3e-2, tuning="peft", backbone__type="mmdyt.SSFViT"),
    "lora": _method("LoRA", "lora", lr=1e-2),
    "adaptformer": _method("AdaptFormer", "adaptformer", lr=3e-2),
    "dyt-r0.3": _dyt("DyT, r = 0.3", dyt__target_rate=0.3),
    "dyt": _dyt("DyT, r = 0.5"),
    "dyt-r0.7": _dyt("DyT, r = 0.7", dyt__target_rate=0.7),
    "dyt-r0.9": _dyt("DyT, r = 0.9", dyt__target_rate=0.9),
    "dyt-attn": _dyt("DyT attn, r = 0.5", backbone__dispatch="attn"),
    "dyt-attn_mlp": _dyt(
        "DyT attn_mlp, r = 0.7", backbone__dispatch="attn_mlp", dyt__target_rate=0.7
    ),
    "dyt-layer": _dyt("DyT layer, r = 0.7", backbone__dispatch="layer", dyt__target_rate=0.7),
    **{
        f"dyt-moe{number}": _dyt(
            f"DyT, MoE-adapter, N = {number}",
            backbone__adapter__type="mmdyt.MoEAdapter",
            backbone__adapter__num_experts=number,
        )
        for number in (2, 4)
    },
    "dyt-no-distill": _dyt("DyT without distillation", dyt__distill_weight=0.0),
    "dyt-dynamic-only": _dyt(
        "DyT without distillation and complete model",
        dyt__distill_weight=0.0,
        dyt__complete_weight=0.0,
    ),
    "dyt-random": _dyt(
        "Random dispatch, r = 0.5", backbone__dispatcher__type="mmdyt.RandomDispatcher"
    ),
}
seeds = [0, 1, 2]
