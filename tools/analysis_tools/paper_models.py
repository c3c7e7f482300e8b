"""The models of the paper's tables whose costs ``flops_table.py`` counts, with its figures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        name: Its name.
        config: A model dict, or a config file and what to override in it.
        paper_gflops: The paper's figure; ``None`` where it gives none.
        paper_params_m: The paper's added parameters, in millions.
        rate: Activation rate; ``None`` for the complete model.
    """

    name: str
    config: dict | tuple[str, dict]
    paper_gflops: float | None = None
    paper_params_m: float | None = None
    rate: float | None = None


def adapter(dims: int) -> dict:
    """Config of a bottleneck adapter."""
    return dict(type="mmdyt.BottleneckAdapter", bottleneck_dims=dims)


def moe(num_experts: int) -> dict:
    """Config of a MoE-adapter with bottlenecks of 64."""
    return dict(type="mmdyt.MoEAdapter", bottleneck_dims=64, num_experts=num_experts)


VIDEO = "configs/video/kinetics400/dyt_vit-b16_8xb16-12e_kinetics400.py"
SEGMENTATION = "configs/segmentation/ade20k/upernet_dyt-vit-b16_8xb2-160k_ade20k-512x512.py"


def vit(arch: str, dispatch: str | None, adapter: dict | None) -> dict:
    """Config of a ViT with patch 16 at 224 px."""
    return dict(type="mmdyt.DyTViT", arch=arch, dispatch=dispatch, adapter=adapter)


def swin(dispatch: str | None, adapter: dict | None) -> dict:
    """Config of Swin-B at 224 px."""
    return dict(
        type="mmdyt.DyTSwinTransformer",
        arch="base",
        img_size=224,
        dispatch=dispatch,
        adapter=adapter,
    )


def video(dispatch: str | None, adapter: dict | None) -> tuple[str, dict]:
    """ViT-B/16 on 8 frames, as on Kinetics-400."""
    backbone = dict(dispatch=dispatch, adapter=adapter)
    return VIDEO, dict(model=dict(backbone=backbone))


def upernet(dispatch: str | None, adapter: dict | None) -> tuple[str, dict]:
    """ViT-B/16 with UPerNet at 512 px, as on ADE20K."""
    return SEGMENTATION, dict(model=dict(backbone=dict(dispatch=dispatch, adapter=adapter)))


# Rows of one config stand together: they share a model.
ROWS = [
    Row("vit-b", vit("base", None, None), 17.58, 0),
    Row("adaptformer-d8", vit("base", None, adapter(8)), 17.61, 0.16),
    Row("adaptformer-d64", vit("base", None, adapter(64)), 17.81, 1.19),
    Row("dyt-mlp", vit("base", "mlp", adapter(64)), 12.21, 1.19, rate=0.5),
    Row("dyt-attn", vit("base", "attn", adapter(64)), None, 1.19, rate=0.5),
    Row("dyt-attn_mlp", vit("base", "attn_mlp", adapter(64)), None, 2.38, rate=0.7),
    Row("dyt-layer", vit("base", "layer", adapter(64)), None, 1.19, rate=0.7),
    Row("dyt-d8-r0.5", vit("base", "mlp", adapter(8)), 12.54, 0.16, rate=0.5),
    Row("dyt-d8-r0.7", vit("base", "mlp", adapter(8)), 14.92, 0.16, rate=0.7),
    Row("dyt-d8-r0.9", vit("base", "mlp", adapter(8)), 17.07, 0.16, rate=0.9),
    *(
        Row(f"dyt-moe{experts}", vit("base", "mlp", moe(experts)), None, 1.2 * experts, rate=0.5)
        for experts in (2, 4, 8, 12)
    ),
    Row("vit-l", vit("large", None, None), 61.60, 0),
    Row("dyt-vit-l", vit("large", "mlp", adapter(64)), 43.79, 3.17, rate=0.5),
    Row("swin-b", swin(None, None), 15.40, 0),
    Row("dyt-swin-b", swin("mlp", adapter(64)), 13.25, 1.55, rate=0.5),
    Row("video-dense", video(None, None), 142.53),
    Row("video-adaptformer", video(None, adapter(64)), 144.39),
    Row("video-dyt", video("mlp", adapter(64)), 108.31, rate=0.5),
    Row("upernet-dense", upernet(None, None), 605.36),
    Row("upernet-adaptformer", upernet(None, adapter(64)), 606.57),
    Row("upernet-dyt", upernet("mlp", adapter(64)), 584.57, rate=0.5),
]
