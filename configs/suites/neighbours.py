"""Neighbours of DyT on real digits: the shipped ViT, two seeds, with and without dispatch.

``python tools/dataset_converters/digits.py`` writes the data. One learning rate for all,
the paper's fixed target, and half the demo's epochs: a comparison of what runs, not of what is
best tuned.
"""

title = "Neighbours on digits"
metric = "accuracy/top1"
epochs = 5
tasks = {
    "digits": dict(
        group="natural",
        title="Digits",
        cfg_options={
            "optim_wrapper.optimizer.lr": 3e-3,
            "train_cfg.max_epochs": epochs,
            "train_cfg.val_interval": epochs,
            "param_scheduler.0.end": 1,
            "param_scheduler.1.begin": 1,
            "param_scheduler.1.end": epochs,
        },
    )
}
plain = "configs/image/digits/vit-mini_linear_digits.py"
dispatched = "configs/image/digits/vit-mini_dyt-fixed_digits.py"
# Of the backbone, by method; the shipped ViT is 128 wide.
backbones = {
    "iconformer": dict(
        adapter=dict(
            _delete_=True,
            type="mmdyt.InputConditionedAdapter",
            bottleneck_dims=16,
            kernel_size=3,
            scale=1.0,
        )
    ),
    "adapter-x": dict(
        adapter=dict(_delete_=True, type="mmdyt.SharedMoEAdapter", num_experts=8, bottleneck_dims=4)
    ),
    "ether": dict(type="mmdyt.EtherViT", ether=dict(variant="ether", num_blocks=4), adapter=None),
    "ether-plus": dict(
        type="mmdyt.EtherViT", ether=dict(variant="ether_plus", num_blocks=4), adapter=None
    ),
    "unipelt": dict(
        type="mmdyt.UniPELTViT",
        adapter=dict(
            _delete_=True, type="mmdyt.BottleneckAdapter", bottleneck_dims=16, scale=1.0, gate=True
        ),
    ),
    "prefix": dict(type="mmdyt.PrefixViT", prefix_length=10, adapter=None),
    "apt": dict(
        type="mmdyt.PrefixViT", prefix_length=10, gate="token", layer_scale=True, adapter=None
    ),
    "e2vpt": dict(type="mmdyt.PromptedViT", num_prompts=10, kv_prompts=5, adapter=None),
    "dapt": dict(
        type="mmdyt.DAPTViT",
        adapter=dict(_delete_=True, type="mmdyt.DynamicAdapter", bottleneck_dims=16),
    ),
    "ssf": dict(type="mmdyt.SSFViT", adapter=None),
}
methods = {
    "linear": dict(title="Linear probe", config=plain),
    "adaptformer": dict(
        title="AdaptFormer", config="configs/image/digits/vit-mini_adaptformer_digits.py"
    ),
    "dyt": dict(title="DyT r = 0.5", config=dispatched),
    **{
        name: dict(
            title=name,
            config=plain,
            cfg_options={f"model.backbone.{key}": value for key, value in backbone.items()}
            | {"model.tuning": "peft"},
        )
        for name, backbone in backbones.items()
    },
    **{
        f"{name}-dispatch": dict(
            title=f"{name}, dispatched r = 0.5",
            config=dispatched,
            cfg_options={f"model.backbone.{key}": value for key, value in backbones[name].items()},
        )
        for name in ("iconformer", "ether", "apt", "ssf")
    },
}
seeds = [0, 1]
