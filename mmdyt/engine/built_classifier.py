"""Read a built classifier's config back, and hold its copy to it."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from mmengine.utils import to_2tuple
from mmpretrain.models.backbones import SwinTransformer, VisionTransformer
from mmpretrain.models.classifiers import ImageClassifier
from mmpretrain.models.heads import LinearClsHead, VisionTransformerClsHead
from mmpretrain.models.necks import GlobalAveragePooling
from torch import nn

from mmdyt.models.utils import dispatch_mode
from mmdyt.models.utils.model_config import registered_name


def config_of(model: nn.Module) -> dict:
    """Give the config of a built ``ImageClassifier``.

    ``mmpretrain.get_model`` leaves it on the model. Otherwise it is read from
    the parts: ViTs and Swin Transformers, linear heads, average pooling. Drop
    rates and initialisation are left out.

    Args:
        model: The classifier.

    Returns:
        A dict like ``model`` of a run's config.

    Raises:
        TypeError: If it is no ``ImageClassifier``.
        ValueError: If it has parts that cannot be read back.
    """
    if not isinstance(model, ImageClassifier):
        raise TypeError(
            f"model must be an ImageClassifier of mmpretrain, got {type(model).__name__}"
        )
    if hasattr(model, "built_from"):  # of mmdyt's models, in which inferencers set another _config
        return deepcopy(model.built_from)
    if hasattr(model, "_config"):
        return deepcopy(dict(model._config.model))
    parts = {name: getattr(model, name) for name in ("backbone", "neck", "head")}
    config = {name: _describe(name, part) for name, part in parts.items() if part is not None}
    return dict(config, type="ImageClassifier", data_preprocessor=_preprocessor(model))


def require_equal_outputs(plain: nn.Module, dispatched: nn.Module, backbone: dict) -> None:
    """Refuse a copy whose complete model computes other features than the source.

    A built model may have arguments that leave no trace in its attributes.

    Args:
        plain: The source.
        dispatched: The copy, with the source's weights and fresh adapters.
        backbone: Config that the copy was made from, for the error.

    Raises:
        ValueError: If the features of a random image differ.
    """
    first = next(plain.parameters())
    own: Any = plain.backbone
    height, width = to_2tuple(getattr(own, "img_size", own.patch_embed.init_input_size))
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, 3, height, width, generator=generator)
    modes = {model: model.training for model in (plain, dispatched)}
    try:
        for model in modes:
            model.eval()
        complete = dispatch_mode(dispatched, "complete")
        with torch.no_grad(), complete, dispatch_mode(plain, "complete"):
            wanted = plain.extract_feat(image.to(first))  # type: ignore[operator]
            got = dispatched.extract_feat(image)  # type: ignore[operator]
    finally:
        for model, mode in modes.items():
            model.train(mode)
    tolerance = 1e-4 if first.dtype == torch.float32 else 5e-2
    for one, other in zip(wanted, got):
        one = one.float().cpu()
        if not torch.allclose(one, other.float(), atol=tolerance, rtol=tolerance):
            raise ValueError(
                f"the built {backbone['type']} has arguments that cannot be read from it (read: "
                f"{backbone}): give its config, and its weights as pretrained=PATH"
            )


def _describe(role: str, part: nn.Module) -> dict:
    if type(part) not in READERS:
        known = sorted(cls.__name__ for cls in READERS)
        raise ValueError(
            f"the config of model.{role}={type(part).__name__} cannot be read from a built model "
            f"(known are {known}): give the model's config, or build it with mmpretrain.get_model"
        )
    return dict(type=registered_name(type(part)), **READERS[type(part)](part))


def _norm(norm: Any) -> dict:
    return dict(type="LN", eps=norm.eps)


def _vit(vit: Any) -> dict:
    layer, patches = vit.layers[0], vit.patch_embed.projection
    scale = getattr(getattr(layer.attn, "gamma1", None), "weight", None)
    return dict(
        arch=dict(vit.arch_settings),
        img_size=vit.img_size,
        patch_size=patches.kernel_size,
        in_channels=patches.in_channels,
        out_indices=list(vit.out_indices),
        qkv_bias=layer.attn.qkv.bias is not None,
        norm_cfg=_norm(layer.ln1),
        final_norm=vit.final_norm,
        out_type=vit.out_type,
        with_cls_token=vit.cls_token is not None,
        interpolate_mode=vit.interpolate_mode,
        layer_scale_init_value=0.0 if scale is None else 1e-5,
        pre_norm=not isinstance(vit.pre_norm, nn.Identity),
    )


def _swin(swin: Any) -> dict:
    block, patches = swin.stages[0].blocks[0], swin.patch_embed
    return dict(
        arch=dict(swin.arch_settings),
        img_size=patches.init_input_size,
        patch_size=patches.projection.kernel_size,
        in_channels=patches.projection.in_channels,
        window_size=block.attn.window_size,
        out_indices=tuple(swin.out_indices),
        use_abs_pos_embed=swin.use_abs_pos_embed,
        interpolate_mode=swin.interpolate_mode,
        norm_cfg=_norm(block.norm1),
        pad_small_map=block.attn.pad_small_map,
    )


def _vit_head(head: Any) -> dict:
    hidden = head.hidden_dim
    return dict(num_classes=head.num_classes, in_channels=head.in_channels, hidden_dim=hidden)


READERS: dict[type, Callable[[Any], dict]] = {
    VisionTransformer: _vit,
    SwinTransformer: _swin,
    GlobalAveragePooling: lambda neck: {},
    LinearClsHead: lambda head: dict(num_classes=head.num_classes, in_channels=head.in_channels),
    VisionTransformerClsHead: _vit_head,
}


def _preprocessor(model: Any) -> dict:
    own = model.data_preprocessor
    config = dict(type="ClsDataPreprocessor", to_rgb=own.to_rgb, num_classes=own.num_classes)
    for name in ("mean", "std"):
        if (values := getattr(own, name, None)) is not None:
            config[name] = values.flatten().tolist()
    return config
