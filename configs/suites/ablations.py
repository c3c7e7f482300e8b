"""What DyT is made of, one choice at a time, on CIFAR-100.

The loss's parts are ablated on VTAB-1K, in ``vtab1k.py``, as in the paper.
``paper`` holds the paper's figures.
"""

title = "Ablations on CIFAR-100"
metric = "accuracy/top1"
tasks = {"cifar100": dict(title="CIFAR-100")}
leaf = "configs/image/{{task}}/{}_8xb128_{{task}}.py"
dyt = leaf.format("vit-b16_dyt")
moe = leaf.format("vit-b16_dyt-moe4")
methods = {
    "dyt": dict(title="DyT (MLP)", config=dyt, paper=dict(cifar100=91.37, gflops=12.21)),
    "dyt-attn": dict(
        title="DyT (attention)",
        config=leaf.format("vit-b16_dyt-attn"),
        paper=dict(cifar100=84.58),
    ),
    "dyt-attn-mlp": dict(
        title="DyT (attention and MLP)",
        config=leaf.format("vit-b16_dyt-attn-mlp"),
        paper=dict(cifar100=90.03),
    ),
    "dyt-layer": dict(
        title="DyT (layer)", config=leaf.format("vit-b16_dyt-layer"), paper=dict(cifar100=89.38)
    ),
    "dyt-opened": dict(title="opened first", config=leaf.format("vit-b16_dyt-opened")),
    "dyt-tau-schedule": dict(
        title="tau from 5 to 0.1", config=leaf.format("vit-b16_dyt-tau-schedule")
    ),
    **{
        f"dyt-tau{tau}": dict(
            title=f"tau = {tau}",
            config=dyt,
            cfg_options={"model.backbone.dispatcher.tau": tau},
        )
        for tau in (0.1, 1.0)
    },
    **{
        f"dyt-r{rate}": dict(
            title=f"r = {rate}", config=dyt, cfg_options={"model.dyt.target_rate": rate}
        )
        for rate in (0.3, 0.7, 0.9)
    },
    **{
        f"dyt-d{dims}": dict(
            title=f"d = {dims}",
            config=dyt,
            cfg_options={"model.backbone.adapter.bottleneck_dims": dims},
        )
        for dims in (8, 16, 32, 128)
    },
    **{
        f"dyt-moe{experts}": dict(
            title=f"N = {experts}",
            config=moe,
            cfg_options={"model.backbone.adapter.num_experts": experts},
        )
        for experts in (2, 4, 8, 12)
    },
    "dyt-random": dict(title="Random dispatch", config=leaf.format("vit-b16_dyt-random")),
    "dyt-sample": dict(
        title="Dispatch of whole images",
        config=dyt,
        cfg_options={"model.backbone.dispatcher.type": "mmdyt.SampleDispatcher"},
    ),
    "vit-l-linear": dict(
        title="ViT-L/16, linear", config=leaf.format("vit-l16_linear"), paper=dict(gflops=61.60)
    ),
    "vit-l-adaptformer": dict(
        title="ViT-L/16, AdaptFormer", config=leaf.format("vit-l16_adaptformer")
    ),
    "vit-l-dyt": dict(
        title="ViT-L/16, DyT", config=leaf.format("vit-l16_dyt"), paper=dict(gflops=43.79)
    ),
    "swin-b-adaptformer": dict(
        title="Swin-B, AdaptFormer", config=leaf.format("swin-b_adaptformer")
    ),
    "swin-b-dyt": dict(
        title="Swin-B, DyT", config=leaf.format("swin-b_dyt"), paper=dict(gflops=13.25)
    ),
}
seeds = [0, 1, 2]
