"""Six image sets as a whole: every method of the paper's table.

``paper`` holds the paper's top-1 accuracies by task, and GFLOPs of one image.
"""

title = "Full image sets"
metric = "accuracy/top1"
tasks = {
    "cifar100": dict(title="CIFAR-100"),
    "svhn": dict(title="SVHN"),
    "food101": dict(title="Food-101"),
    "aircraft": dict(title="Aircraft"),
    "pets": dict(title="Pets"),
    "stanford_cars": dict(title="Cars"),
}
leaf = "configs/image/{{task}}/vit-b16_{}_8xb128_{{task}}.py"
# Ours: the paper names no rate for full tuning, and the recipe's 4e-3 is for adapters.
full_lr = {"optim_wrapper.optimizer.lr": 4e-4}
methods = {
    "full": dict(
        title="Full tuning",
        config=leaf.format("full"),
        cfg_options=full_lr,
        paper=dict(cifar100=90.91, svhn=97.29, food101=90.69, gflops=17.58),
    ),
    "linear": dict(title="Linear", config=leaf.format("linear"), paper=dict(gflops=17.58)),
    "dynamic-full": dict(
        title="Dynamic-Full",
        config=leaf.format("dynamic-full"),
        cfg_options=full_lr,
        paper=dict(cifar100=83.43, svhn=96.90, food101=84.46),
    ),
    "vpt": dict(
        title="VPT-deep",
        config=leaf.format("vpt"),
        paper=dict(cifar100=91.46, svhn=95.72, food101=90.41),
    ),
    "lora": dict(
        title="LoRA",
        config=leaf.format("lora"),
        paper=dict(cifar100=91.42, svhn=97.36, food101=90.48),
    ),
    "adaptformer": dict(
        title="AdaptFormer",
        config=leaf.format("adaptformer"),
        paper=dict(cifar100=92.03, svhn=97.23, food101=90.84, gflops=17.81),
    ),
    "dyt": dict(
        title="DyT",
        config=leaf.format("dyt"),
        paper=dict(cifar100=91.37, svhn=97.08, food101=90.32, gflops=12.21),
    ),
    "dyt-moe4": dict(title="DyT, N = 4", config=leaf.format("dyt-moe4")),
}
seeds = [0, 1, 2]
