"""What the photo study tests."""

from projects.study.study import Claim, front_minus_back, saved_mflops

MAIN = ["linear", "adaptformer", "lora", "ssf", "dyt", "dyt-r0.7", "dyt-ssf", "random-weights"]
ABLATIONS = [
    "dyt",
    "dyt-float32",
    "dyt-no-opening",
    "dyt-fixed",
    "dyt-no-distill",
    "dyt-dynamic-only",
    "dyt-random",
    "dyt-attn",
    "dyt-moe4",
]
VTAB = "VTAB-1K"
CLAIMS = [
    Claim(
        "The weights matter: AdaptFormer on them and on random ones",
        "adaptformer",
        "random-weights",
    ),
    Claim("AdaptFormer is more accurate than the linear probe", "adaptformer", "linear"),
    Claim(
        "DyT costs less than AdaptFormer",
        "dyt",
        "adaptformer",
        saved_mflops,
        "MFLOPs",
        paper="12.54 to 17.61 GFLOPs",
    ),
    Claim(
        "DyT is no less accurate than AdaptFormer (1 point of margin)",
        "dyt",
        "adaptformer",
        margin=1.0,
        paper=f"77.14 to 74.75, {VTAB}",
    ),
    Claim(
        "DyT is more accurate than the linear probe",
        "dyt",
        "linear",
        paper=f"77.14 to 57.64, {VTAB}",
    ),
    Claim("DyT is more accurate than LoRA", "dyt", "lora", paper=f"77.14 to 74.60, {VTAB}"),
    Claim("DyT is more accurate than SSF", "dyt", "ssf", paper=f"77.14 to 75.69, {VTAB}"),
    Claim("SSF is better than adapters under dispatch", "dyt-ssf", "dyt"),
    Claim("r = 0.7 is better than r = 0.5", "dyt-r0.7", "dyt", paper=f"77.57 to 77.14, {VTAB}"),
    Claim(
        "Activation rates fall with depth",
        "dyt",
        None,
        front_minus_back,
        "points of rate",
        paper="the last layer's often 0",
    ),
]
