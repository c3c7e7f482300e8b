"""Turn a model of mmpretrain into one with Dynamic Tuning, in one call."""

from __future__ import annotations

import warnings
from os import PathLike
from typing import Any, Literal, TypeAlias

from mmengine.config import Config, ConfigDict
from mmengine.model import BaseModel
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope
from mmpretrain.models.classifiers import ImageClassifier
from torch import nn

import mmdyt.models  # noqa: F401  (registers the backbones)
from mmdyt.checks import check_integer
from mmdyt.engine.built_classifier import require_equal_outputs
from mmdyt.engine.config_types import arguments_of, meant, require_part
from mmdyt.engine.model_source import read_source
from mmdyt.engine.quiet import quiet
from mmdyt.models.backbones import DispatchedBackbone
from mmdyt.models.utils.load_guards import pretrained_inits
from mmdyt.models.utils.model_config import (
    plain_config,
    registered_class,
    registered_name,
    resolve_defaults,
)
from mmdyt.registry import MODELS

SCOPE = "mmpretrain"
ADAPTER = dict(type="mmdyt.BottleneckAdapter")
DISPATCHER = dict(type="mmdyt.TokenDispatcher")
Source: TypeAlias = str | PathLike | Config | dict | ImageClassifier


def dynamic_tuning(
    model: Source,
    num_classes: int | None = None,
    dispatch: str | None = "mlp",
    target_rate: float = 0.5,
    *,
    adapter: dict | Literal["auto"] | None = "auto",
    dispatcher: dict | Literal["auto"] | None = "auto",
    dyt: dict | None = None,
    tuning: str = "peft",
    pretrained: bool | str | PathLike = False,
    **backbone: Any,
) -> BaseModel:
    """Make a classifier with adapters and token dispatch of a plain one.

    Adapters and dispatchers start as in a fresh run: with every token active
    the backbone computes what the plain one does. Drop rates and batch
    augmentation of the source are left out.

    Example::

        model = mmdyt.dynamic_tuning("deit-tiny_4xb256_in1k", num_classes=10, pretrained=True)
        model.print_trainable_parameters()

    Args:
        model: One of:

            - a name of mmpretrain (``mmpretrain.list_models()``), or the
              beginning of exactly one;
            - the path of a config file, a ``Config``, or a dict, of a run or of
              an ``ImageClassifier``;
            - a built ``ImageClassifier``, whose weights are copied.
        num_classes: Classes of a new ``LinearClsHead``. Defaults to ``None``:
            the source's own head, with its weights where it has some.
        dispatch: Dispatched branch: ``'mlp'``, ``'attn'``, ``'attn_mlp'``,
            ``'layer'`` or ``None`` (adapters alone); Swin has ``'mlp'`` and
            ``None``. Defaults to ``'mlp'``.
        target_rate: Wanted share of active tokens, in (0, 1]. Defaults to 0.5.
        adapter: Config of the adapters, ``None`` for none. Defaults to ``'auto'``:
            those of a source that has some, ``mmdyt.BottleneckAdapter`` otherwise.
        dispatcher: Config of the dispatchers. Defaults to ``'auto'``: those of a
            source that has some, ``mmdyt.TokenDispatcher`` otherwise.
        dyt: Further fields of :class:`mmdyt.models.algorithms.DyTObjective`,
            such as ``dict(rate_weight=2.0)``. Defaults to ``None``.
        tuning: What trains, see :func:`mmdyt.models.utils.set_trainable`.
            Defaults to ``'peft'``.
        pretrained: ``True`` for the weights that mmpretrain names for the model,
            or a path or URL of a checkpoint of the plain classifier. Defaults to
            ``False``: those of the source.
        **backbone: Further arguments of the backbone, such as ``img_size=384``.

    Returns:
        A ``mmdyt.DyTImageClassifier`` with initialised weights, on the device of
        a built source, otherwise on the CPU.

    Raises:
        TypeError: If ``model`` is none of these.
        ValueError: If the name is unknown, the model or its backbone is not
            supported (the error says which are and what this one would need),
            an argument is unknown or outside its range, ``pretrained=True`` has no
            weights, or a built model has other adapters of its own already.
        OSError: Naming the address, if weights cannot be had.
    """
    if "target_rate" in (dyt or {}):
        raise ValueError("give target_rate itself, not as a field of dyt")
    built = model if isinstance(model, nn.Module) else None
    config, pipeline, weights, name = read_source(model)
    if pretrained is True and weights is None:
        raise ValueError(f"mmpretrain names no weights for {name}: give pretrained=PATH_OR_URL")
    checkpoint = weights if pretrained is True else str(pretrained) if pretrained else None
    with DefaultScope.overwrite_default_scope(SCOPE), quiet():
        host = _require_supported(config, name)
        _require_arguments(host, backbone)
        source = config["backbone"]
        parts = dict(
            adapter=(source.get("adapter") or ADAPTER) if adapter == "auto" else adapter,
            dispatcher=(
                (source.get("dispatcher") or DISPATCHER) if dispatcher == "auto" else dispatcher
            ),
        )
        for role, part in parts.items():
            if part is not None:
                require_part(role, part)
        config = _dispatched(config, host, backbone, num_classes, checkpoint, built is not None)
        config["backbone"].update(parts, dispatch=dispatch)
        objective = dict(dyt or {}, target_rate=target_rate) if dispatch is not None else None
        config = plain_config(dict(config, dyt=objective, tuning=tuning))
        made: Any = ROOT_MODELS.build(ConfigDict(config))
    _initialise(made, checkpoint)
    if built is not None:
        _copy_weights(built, made, keep_head=num_classes is None)
        if not backbone:
            require_equal_outputs(built, made, source)
        made.to(next(built.parameters()).device)
    elif not pretrained_inits(made):
        warnings.warn(
            f"the frozen weights of {name} are random: give pretrained=True, or a checkpoint",
            stacklevel=2,
        )
    made.test_pipeline = pipeline
    return made


def supported_backbones() -> dict[type, type[DispatchedBackbone]]:
    """Plain backbones by class, and what dispatches each: all that are registered."""
    registered = [cls for cls in MODELS.module_dict.values() if isinstance(cls, type)]
    return {cls.__bases__[-1]: cls for cls in registered if DispatchedBackbone in cls.__bases__}


def _require_supported(config: dict, name: str) -> type[DispatchedBackbone]:
    """Find the dispatched form of a classifier's backbone, or say what there is."""
    own = registered_class(_type_name(config.get("type", "ImageClassifier")))
    if own is None or not issubclass(own, ImageClassifier):
        raise ValueError(
            f"{name} is a {config.get('type')!r}; supported are mmpretrain's ImageClassifier with "
            "one of the backbones "
            f"{sorted(cls.__name__ for cls in supported_backbones())}"
        )
    if not config.get("backbone"):
        raise ValueError(f"{name} has no backbone: give the config of a run, or of its model")
    backbone = _type_name(config["backbone"].get("type"))
    found = registered_class(backbone)
    if found is not None and issubclass(found, DispatchedBackbone):
        return found
    supported = supported_backbones()
    if found not in supported:
        raise ValueError(
            f"{name} has a backbone of type {backbone!r}, which has no form with token dispatch; "
            f"supported are {sorted(cls.__name__ for cls in supported)}. It would need a subclass "
            "of mmdyt.models.backbones.DispatchedBackbone, whose layers give attention and MLP as "
            "methods: docs/extending.md, 'A backbone', makes one of DeiT3"
        )
    return supported[found]


def _require_arguments(host: type[DispatchedBackbone], further: dict) -> None:
    known = arguments_of(host)
    for key in further.keys() - known if known is not None else ():
        raise ValueError(f"{key} is unknown to {host.__name__}{meant(key, known or ())}")


def _type_name(value: Any) -> str:
    return registered_name(value) if isinstance(value, type) else str(value)


def _dispatched(
    config: dict,
    host: type[DispatchedBackbone],
    further: dict,
    num_classes: int | None,
    checkpoint: str | None,
    is_built: bool,
) -> dict:
    """The config with a dispatched backbone, a new head, and weights from a file."""
    config = {key: value for key, value in config.items() if key not in ("train_cfg", "type")}
    backbone = {k: v for k, v in config["backbone"].items() if not k.startswith("drop_")}
    backbone.update(further, type=registered_name(host))
    if checkpoint is not None or is_built:
        for part in (config, backbone):
            part.pop("init_cfg", None)
            part.pop("pretrained", None)
    if num_classes is not None:
        check_integer("num_classes", num_classes, "[1, inf)")
        arch = resolve_defaults(plain_config(backbone))["arch"]
        width = arch["embed_dims"]
        if "depths" in arch:  # stages, each twice as wide as the one before
            width *= 2 ** (len(arch["depths"]) - 1)
            config["neck"] = config.get("neck") or dict(type="GlobalAveragePooling")
        topk = (1, 5) if num_classes >= 5 else (1,)
        config["head"] = dict(
            type="LinearClsHead", num_classes=num_classes, in_channels=width, topk=topk
        )
        if config.get("data_preprocessor"):
            config["data_preprocessor"]["num_classes"] = num_classes
    elif not config.get("head"):
        raise ValueError("the model has no head: give num_classes")
    if checkpoint is not None and num_classes is not None:
        backbone["init_cfg"] = dict(type="Pretrained", checkpoint=checkpoint, prefix="backbone.")
    elif checkpoint is not None:
        config["init_cfg"] = dict(type="Pretrained", checkpoint=checkpoint)
    return dict(config, type="mmdyt.DyTImageClassifier", backbone=backbone)


def _initialise(model: BaseModel, checkpoint: str | None) -> None:
    try:
        with quiet():
            model.init_weights()
    except OSError as error:  # of urllib too
        if checkpoint is None:
            raise
        raise OSError(
            f"the weights at {checkpoint} cannot be had ({error}): give pretrained=PATH of a copy"
        ) from error


def _copy_weights(source: nn.Module, target: nn.Module, keep_head: bool) -> None:
    state = source.state_dict()
    if not keep_head:
        own = {name: value for name, value in target.state_dict().items() if _of_head(name)}
        state = {name: value for name, value in state.items() if not _of_head(name)} | own
    try:
        target.load_state_dict(state, strict=False)  # load hooks refuse what is missing
    except ValueError as error:
        if not isinstance(source.backbone, DispatchedBackbone):
            raise
        raise ValueError(
            f"the {type(source).__name__} has adapters and dispatchers of its own, which do not go "
            f"with what is asked for: give the plain model ({error})"
        ) from error


def _of_head(name: str) -> bool:
    return name.startswith("head.")
