"""The transfer study: seven small tasks, 19 methods, three seeds.

``make study`` runs it (an hour and more on two cores); ``docs/transfer_study``
has the results.
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


def _method(title: str, leaf: str, **options) -> dict:
    return dict(
        title=title,
        config=f"configs/image/study/{leaf}.py",
        cfg_options={f"model.{key.replace('__', '.')}": value for key, value in options.items()},
    )


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
    "linear": _method("Linear probe", "plain"),
    "full": _method("Full tuning", "plain", tuning="full"),
    "bitfit": _method("BitFit", "plain", tuning="bitfit"),
    "vpt": _method("VPT-deep", "plain", tuning="peft", backbone__type="mmdyt.PromptedViT"),
    "ssf": _method("SSF", "plain", tuning="peft", backbone__type="mmdyt.SSFViT"),
    "lora": _method("LoRA", "lora"),
    "adaptformer": _method("AdaptFormer", "adaptformer"),
    "dyt-r0.3": _method("DyT, r = 0.3", "dyt", dyt__target_rate=0.3),
    "dyt": _method("DyT, r = 0.5", "dyt"),
    "dyt-r0.7": _method("DyT, r = 0.7", "dyt", dyt__target_rate=0.7),
    "dyt-r0.9": _method("DyT, r = 0.9", "dyt", dyt__target_rate=0.9),
    "dyt-attn": _method("DyT attn, r = 0.5", "dyt", backbone__dispatch="attn"),
    "dyt-attn_mlp": _method(
        "DyT attn_mlp, r = 0.7", "dyt", backbone__dispatch="attn_mlp", dyt__target_rate=0.7
    ),
    "dyt-layer": _method(
        "DyT layer, r = 0.7", "dyt", backbone__dispatch="layer", dyt__target_rate=0.7
    ),
    **{
        f"dyt-moe{number}": _method(
            f"DyT, MoE-adapter, N = {number}",
            "dyt",
            backbone__adapter__type="mmdyt.MoEAdapter",
            backbone__adapter__num_experts=number,
        )
        for number in (2, 4)
    },
    "dyt-no-distill": _method("DyT without distillation", "dyt", dyt__distill_weight=0.0),
    "dyt-dynamic-only": _method(
        "DyT without distillation and complete model",
        "dyt",
        dyt__distill_weight=0.0,
        dyt__complete_weight=0.0,
    ),
    "dyt-random": _method(
        "Random dispatch, r = 0.5", "dyt", backbone__dispatcher__type="mmdyt.RandomDispatcher"
    ),
}
seeds = [0, 1, 2]
