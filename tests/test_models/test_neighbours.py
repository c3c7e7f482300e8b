"""Parameter counts of ViT-B/16, and bad input, of the methods beside DyT."""

from pathlib import Path

import pytest
import torch
from mmengine import Config

from tests.conftest import REPO, build, tiny_backbone

FOLDER = REPO / "configs/_base_/tuning"
COUNTS = {
    "linear": 0,
    "full": 85_798_656,  # ViT-B/16 at 224 px without its head
    "bitfit": 102_912,  # biases: 12 x 11 x 768, of the patches and of the last norm
    "ssf": 205_824,
    "vpt_shallow": 38_400,
    "vpt_deep": 460_800,
    "adaptformer": 1_189_632,
    "iconformer": 1_638_912,
    "adapter_x": 147_488,
    "ether": 82_944,
    "ether_plus": 331_776,
    "prefix": 184_320,
    "apt": 276_492,
    "e2vpt": 138_240,
    "unipelt": 11_083_376,  # RoBERTa-base's, which has ViT-B's width and depth
    "unipelt_prompts": 11_091_056,
    "dapt": 1_443_084,
}


def added(path: Path, **changes) -> int:
    """Parameters that a tuning config of ViT-B/16 trains, without the head's."""
    cfg = Config.fromfile(path)
    cfg.merge_from_dict(changes)
    cfg.model.backbone.get("module", cfg.model.backbone).init_cfg = None
    with torch.device("meta"):
        model = build(cfg.model)
    params = model.named_parameters()
    return sum(p.numel() for name, p in params if p.requires_grad and name[:5] != "head.")


def test_parameters_are_those_of_the_formulas(subtests):
    for name, count in COUNTS.items():
        with subtests.test(name):
            assert added(FOLDER / f"{name}.py") == count


def test_what_inference_needs_of_unipelt():
    path, folded = FOLDER / "unipelt.py", {"model.backbone.folded": True}
    assert added(path, **folded) == 1_410_672
    assert added(FOLDER / "unipelt_prompts.py", **folded) == 1_410_672 + 7_680


def test_dapt_has_the_published_parameters_of_point_clouds():
    """Their width is 384; the heads are those of ScanObjectNN and ModelNet40."""

    def head(parts: int, classes: int) -> int:
        hidden = 256 * 256 + 256 + 2 * 256  # with its batch norm
        return parts * 384 * 256 + 3 * 256 + hidden + 256 * classes + classes

    for dims, parts, classes, total in ((64, 3, 15, 1_087_771), (72, 2, 40, 1_069_716)):
        width = {"model.backbone.arch": "deit-small", "model.head.in_channels": 384}
        width["model.backbone.adapter.bottleneck_dims"] = dims
        assert added(FOLDER / "dapt.py", **width) + head(parts, classes) == total


ICONFORMER = dict(type="mmdyt.InputConditionedAdapter", bottleneck_dims=4)
EXPERTS = dict(type="mmdyt.SharedMoEAdapter")
ETHER = dict(type="mmdyt.EtherViT", adapter=None)
PREFIX = dict(type="mmdyt.PrefixViT", adapter=None)
BAD = [
    (dict(adapter=ICONFORMER | dict(kernel_size=2)), r"adapter\.kernel_size must be odd, got 2"),
    (dict(adapter=ICONFORMER, type="mmdyt.ToMeViT"), r"'ToMeViT' keeps no single patch grid"),
    (dict(adapter=EXPERTS | dict(num_experts=0)), r"adapter\.num_experts .* got 0"),
    (dict(adapter=EXPERTS | dict(balance_weight=-1)), r"adapter\.balance_weight .* got -1"),
    (
        ETHER | dict(ether=dict(num_blocks=5)),
        r"num_blocks=5 does not divide the 32 channels.*'qkv'",
    ),
    (ETHER | dict(ether=dict(targets=[])), r"backbone\.ether\.targets is empty; choose among"),
    (ETHER | dict(ether=dict(targets=["fc3"])), r"backbone\.ether\.targets='fc3' .*'fc2'"),
    (ETHER | dict(ether=dict(variant="oft")), r"backbone\.ether\.variant='oft' .*'ether_plus'"),
    (ETHER | dict(ether=dict(blocks=4)), r"backbone\.ether='blocks' .*'num_blocks'"),
    (
        ETHER | dict(layer_cfgs=dict(ffn_type="swiglu_fused")),
        r"targets: 'fc1' is no part of this backbone's layers, whose MLP is a SwiGLU",
    ),
    (PREFIX | dict(prefix_length=0), r"backbone\.prefix_length .* got 0"),
    (PREFIX | dict(gate="head"), r"backbone\.gate='head' .*'mean'"),
    (PREFIX | dict(dispatch="attn"), r"backbone\.prefix_length needs attention among all tokens"),
    (dict(type="mmdyt.PromptedViT", num_prompts=0), r"backbone\.num_prompts .*\[1, inf\), got 0"),
    (
        dict(type="mmdyt.PromptedViT", kv_prompts=2, dispatch="layer"),
        r"backbone\.kv_prompts needs attention among all tokens",
    ),
    (
        dict(type="mmdyt.UniPELTViT", lora_rank=0, prefix_length=0, adapter=None),
        r"every part of UniPELT is off: set backbone\.lora_rank",
    ),
    (
        dict(type="mmdyt.UniPELTViT", dispatch="attn"),
        r"backbone\.lora_rank needs attention among all tokens",
    ),
    (dict(type="mmdyt.DAPTViT", adapter=None), r"backbone\.adapter=None leaves nothing"),
    (
        dict(type="mmdyt.DAPTViT", dispatch="attn"),
        r"backbone\.dispatch='attn' is not supported by DAPTEncoderLayer",
    ),
    (
        PREFIX | dict(gate="token", with_cls_token=False, out_type="avg_featmap"),
        r"backbone\.gate='token' needs a class token: choose 'mean'",
    ),
]


def test_bad_input_names_value_choices_and_key(subtests):
    for changes, message in BAD:
        with subtests.test(message), pytest.raises(ValueError, match=message):
            build(tiny_backbone(**changes))
    with pytest.raises(TypeError, match=r"leave backbone\.rel_pos_bias and window_size out"):
        build(tiny_backbone(**PREFIX, window_size=2, global_layers=[0]))
    swin = dict(type="mmdyt.DyTSwinTransformer", arch="tiny", adapter=ICONFORMER)
    with pytest.raises(ValueError, match="'DyTSwinTransformer' keeps no single patch grid"):
        build(swin)
