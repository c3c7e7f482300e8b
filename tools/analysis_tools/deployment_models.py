"""Build the models that ``benchmark_deployment.py`` exports."""

from __future__ import annotations

import argparse
import copy

from benchmark_inference import DENSE, calibrate
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from mmdyt.checks import check_choice
from mmdyt.models.utils import dispatched_layers, pack_linears, set_capacity

DYNAMIC, CAPACITY = "DyT, threshold", "DyT, capacity"


def build_models(args: argparse.Namespace, images: Tensor) -> dict[str, nn.Module]:
    """Build the models, which share the dense one's weights; adapters are random.

    Args:
        args: The command line.
        images: ``(B, 3, H, W)``, on which dispatch has the rate that is asked for.
    """
    vit = dict(arch=args.arch, img_size=args.pixels, patch_size=16)
    tome = f"AdaptFormer + ToMe {args.merge}"
    configs = {
        DENSE: dict(type="mmdyt.DyTViT", dispatch=None, adapter=None, **vit),
        "AdaptFormer": dict(type="mmdyt.DyTViT", dispatch=None, **vit),
        tome: dict(type="mmdyt.ToMeViT", dispatch=None, r=args.merge, **vit),
        DYNAMIC: dict(type="mmdyt.DyTViT", **vit),
        CAPACITY: dict(type="mmdyt.DyTViT", **vit),
    }
    archs = MODELS.get("VisionTransformer").arch_zoo
    check_choice("--arch", args.arch, sorted(archs))
    width = archs[args.arch]["embed_dims"]
    head = dict(type="LinearClsHead", num_classes=100, in_channels=width)
    models = {
        name: MODELS.build(dict(type="mmdyt.DyTImageClassifier", backbone=backbone, head=head))
        for name, backbone in configs.items()
    }
    models[DYNAMIC].init_weights()
    for layer in dispatched_layers(models[DYNAMIC]):
        nn.init.normal_(layer.adapter["mlp"].up.weight, std=0.1)
    weights = models[DYNAMIC].state_dict()  # which has every name of the others
    for model in models.values():
        model.eval()
        for part in ("backbone", "head"):
            module = model.get_submodule(part)
            own = {name: weights[f"{part}.{name}"] for name in module.state_dict()}
            module.load_state_dict(own, assign=True)
    calibrate(models[DYNAMIC], images, args.rate)  # and CAPACITY, whose tensors are the same
    set_capacity(models[CAPACITY], args.rate)
    return models


def packed(model: nn.Module) -> nn.Module:
    """Copy a model and pack its linear layers."""
    copied = copy.deepcopy(model)
    pack_linears(copied)
    return copied
