"""The claims of the paper that the transfer study tests."""

from projects.study.study import Claim, front_minus_back, saved_mflops

VTAB, CIFAR = "VTAB-1K", "CIFAR-100"
CLAIMS = [
    Claim(
        "DyT costs less than AdaptFormer",
        "dyt",
        "adaptformer",
        saved_mflops,
        "MFLOPs",
        paper="12.54 to 17.61 GFLOPs",
    ),
    Claim(
        "DyT is as accurate as AdaptFormer (1 point of margin)",
        "dyt",
        "adaptformer",
        margin=1.0,
        paper=f"77.14 to 74.75, {VTAB}",
    ),
    Claim(
        "DyT is more accurate than AdaptFormer",
        "dyt",
        "adaptformer",
        paper=f"77.14 to 74.75, {VTAB}",
    ),
    Claim("DyT is more accurate than full tuning", "dyt", "full", paper=f"77.14 to 68.96, {VTAB}"),
    Claim("DyT is more accurate than LoRA", "dyt", "lora", paper=f"77.14 to 74.60, {VTAB}"),
    Claim("DyT is more accurate than SSF", "dyt", "ssf", paper=f"77.14 to 75.69, {VTAB}"),
    Claim("DyT is more accurate than VPT", "dyt", "vpt", paper=f"77.14 to 71.96, {VTAB}"),
    Claim(
        "MLP dispatch is better than attention dispatch",
        "dyt",
        "dyt-attn",
        paper=f"91.37 to 84.58, {CIFAR}",
    ),
    Claim(
        "MLP dispatch is better than both (r = 0.7)",
        "dyt",
        "dyt-attn_mlp",
        paper=f"91.37 to 90.03, {CIFAR}",
    ),
    Claim(
        "MLP dispatch is better than layer dispatch (r = 0.7)",
        "dyt",
        "dyt-layer",
        paper=f"91.37 to 89.38, {CIFAR}",
    ),
    Claim("Learned dispatch is better than random dispatch", "dyt", "dyt-random"),
    Claim("Distillation helps", "dyt", "dyt-no-distill", paper=f"77.14 to 76.70, {VTAB}"),
    Claim(
        "The complete model's loss helps",
        "dyt-no-distill",
        "dyt-dynamic-only",
        paper=f"76.70 to 75.73, {VTAB}",
    ),
    Claim(
        "Activation rates fall with depth",
        "dyt",
        None,
        front_minus_back,
        "points of rate",
        paper="the last layer's often 0",
    ),
    Claim("A MoE-adapter of 2 experts helps", "dyt-moe2", "dyt"),
    Claim("A MoE-adapter of 4 experts helps", "dyt-moe4", "dyt", paper="46.56 to 45.43, SSv2"),
    Claim("r = 0.7 is better than r = 0.5", "dyt-r0.7", "dyt", paper=f"77.57 to 77.14, {VTAB}"),
]
