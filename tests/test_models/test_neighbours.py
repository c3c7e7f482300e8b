"""Parameter counts of ViT-B/16, and bad input, of the methods beside DyT."""

from pathlib import Path

import pytest
import torch
from mmengine import Config

from tests.conftest import REPO, build, tiny_backbone

FOLDER = REPO / "configs/_base_/tuning"
COUNTS = {
    "linear": 0,
    "adaptformer": 1_189_632,
    "iconformer": 1_638_912,
    "adapter_x": 147_488,
    "ether": 82_944,
    "ether_plus": 331_776,
    "prefix": 184_320,
    "apt": 276_492,
}


def added(path: Path) -> int:
    """Parameters that a tuning config of ViT-B/16 trains, without the head's."""
    cfg = Config.fromfile(path)
    cfg.model.backbone.get("module", cfg.model.backbone).init_cfg = None
    with torch.device("meta"):
        model = build(cfg.model)
    params = model.named_parameters()
    return sum(p.numel() for name, p in params if p.requires_grad and name[:5] != "head.")


def test_parameters_are_those_of_the_formulas(subtests):
    for name, count in COUNTS.items():
        with subtests.test(name):
            assert added(FOLDER / f"{name}.py") == count


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
    (
        PREFIX | dict(gate="token", with_cls_token=False, out_type="avg_featmap"),
        r"backbone\.gate='token' needs a class token: choose 'mean'",
    ),
]


def test_bad_input_names_value_choices_and_key(subtests):
    for changes, message in BAD:
        with subtests.test(message), pytest.raises(ValueError, match=message):
            build(tiny_backbone(**changes))
    with pytest.raises(TypeError, match="leave backbone.rel_pos_bias and window_size out"):
        build(tiny_backbone(**PREFIX, window_size=2, global_layers=[0]))
    swin = dict(type="mmdyt.DyTSwinTransformer", arch="tiny", adapter=ICONFORMER)
    with pytest.raises(ValueError, match="'DyTSwinTransformer' keeps no single patch grid"):
        build(swin)
