"""Load hooks of a whole model: the right weights or a clear refusal, whoever loads.

Every loader ends in ``load_state_dict``: mmengine's runner and ``EMAHook``,
mmpretrain's ``get_model`` and inferencers, mmseg's ``init_model``, mmaction's
``init_recognizer``. What a file says of itself arrives here in the
``_metadata`` of its state dict.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from mmengine.logging import print_log
from mmengine.model.weight_init import PretrainedInit
from torch import Tensor, nn

from mmdyt.fileio import ADAPTER_FORMAT, ADAPTER_META
from mmdyt.models.utils.freeze import added_names
from mmdyt.models.utils.frozen_base import split_state, unlike
from mmdyt.models.utils.model_config import config_differences

CONFIG_META = "mmdyt_config"
# Names of what tuning adds to a backbone, in any file.
ADDED = re.compile(r"(^|\.)(adapter|dispatcher|prompts|ssf|lora_down|lora_up|rel_pos_bias)\.")


class Started:
    """Whether ``init_weights`` of a model ran, which training begins with.

    Copies share it: ``EMAHook`` copies a model before that.
    """

    done = False

    def __deepcopy__(self, memo: dict) -> Started:
        """Give the same object."""
        return self


def describe(missing: list[str], unexpected: list[str], reshaped: list[str]) -> str:
    """Say in a line which keys do not match, three of each kind."""
    kinds = {"missing": missing, "unexpected": unexpected, "of another shape": reshaped}
    return "; ".join(
        f"{len(names)} {kind}: {', '.join(names[:3])}{' ...' if len(names) > 3 else ''}"
        for kind, names in kinds.items()
        if names
    )


def tell_config(model: nn.Module, state_dict: dict, prefix: str, local_metadata: dict) -> None:
    """State hook: a complete checkpoint says what its model was built from."""
    local_metadata[CONFIG_META] = model.resolved_config


def guard_load(
    model: nn.Module, state_dict: dict, prefix: str, local_metadata: dict, *_: Any
) -> None:
    """Load hook of :class:`mmdyt.models.algorithms.CompleteModelMixin`.

    An adapter file is checked against the model and completed by the frozen
    base, which is loaded first where that has not happened. Any other file has
    to hold the whole model. Only a model whose ``init_weights`` ran, as in
    training, also takes one part of it: the backbone must be whole
    (:func:`mmdyt.models.backbones.load_checks.require_whole_backbone`), adapters
    and dispatchers come all or none, and a head that does not fit starts anew.

    Raises:
        ValueError: Naming what differs: config keys with both values, or the
            keys that are missing, unexpected or of another shape.
    """
    own, frozen = split_state(model)
    meta = local_metadata.get(ADAPTER_META)
    if meta is not None:
        _check_adapter(model, own, state_dict, prefix, meta)
        base = _require_base(model, meta)
        state_dict.update({prefix + name: tensor for name, tensor in base.items()})
        return
    # mmpretrain's LoRAModel keeps these to itself, and has loaded them in its constructor.
    kept = frozen.keys() - model.state_dict().keys()
    state_dict.update({prefix + name: frozen[name] for name in kept})
    _check_parts(model, state_dict, prefix, local_metadata)


def _check_adapter(
    model: nn.Module, own: dict[str, Tensor], state_dict: dict, prefix: str, meta: dict
) -> None:
    told = f"{meta['file']} (trained with {meta.get('config') or 'an unnamed config'})"
    if meta["format"] != ADAPTER_FORMAT:
        raise ValueError(
            f"{told} is of format {meta['format']}, which does not say enough of its model; "
            f"this version reads {ADAPTER_FORMAT}: save it anew from the run's epoch_*.pth"
        )
    differences = config_differences(meta["resolved"], model.resolved_config)  # type: ignore
    given = {key[len(prefix) :]: value for key, value in state_dict.items()}
    missing = sorted(own.keys() - given.keys())
    unexpected = sorted(given.keys() - own.keys())
    reshaped = [
        f"{name} of {tuple(given[name].shape)}, the model has {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if name in given and given[name].shape != tensor.shape
    ]
    if differences:
        more = f" and {len(differences) - 5} more" if len(differences) > 5 else ""
        raise ValueError(
            f"{told} belongs to another model: {'; '.join(differences[:5])}{more}. "
            "mmdyt.load_adapter builds the model that the file describes"
        )
    if missing or unexpected or reshaped:
        raise ValueError(
            f"{told} does not match this model: {describe(missing, unexpected, reshaped)}"
        )


def _require_base(model: nn.Module, meta: dict) -> dict[str, Tensor]:
    """Frozen tensors that an adapter was trained on, loaded if they are not there yet."""
    frozen = split_state(model)[1]
    if not unlike(meta["base"], frozen):
        return frozen
    before = {name: tensor.clone() for name, tensor in frozen.items()}
    sources = pretrained_inits(model)
    for init_cfg in sources or filter(None, [meta["pretrained"]]):
        if not getattr(model.get_submodule(init_cfg["module"]), "is_init", False):
            _load_base(model, init_cfg, meta["file"])
    frozen = split_state(model)[1]
    if wrong := unlike(meta["base"], frozen):
        for name, tensor in before.items():
            frozen[name].copy_(tensor)
        named = (meta["pretrained"] or {}).get("checkpoint", "weights from no file")
        ours = sources[0]["checkpoint"] if sources else "weights from no file"
        raise ValueError(
            f"{meta['file']} was trained on other base weights: on {named}, and this model has "
            f"{ours}; {len(wrong)} of {len(frozen)} frozen tensors differ, first {wrong[0]}. Set "
            "backbone.init_cfg to the checkpoint that it was trained on"
        )
    return frozen


def pretrained_inits(model: nn.Module) -> list[dict]:
    """List the pre-trained files that a model's ``init_cfg`` name.

    Returns:
        ``dict(module=..., checkpoint=..., prefix=...)`` each, the backbone's
        for one of the whole model.
    """
    found = []
    for path, module in model.named_modules():
        init_cfg = getattr(module, "init_cfg", None) or []
        for one in [init_cfg] if isinstance(init_cfg, dict) else init_cfg:
            if one.get("type") in ("Pretrained", PretrainedInit):
                prefix = one.get("prefix") if path else "backbone."
                checkpoint = str(one["checkpoint"])
                found.append(
                    dict(module=path or "backbone", checkpoint=checkpoint, prefix=prefix)
                )
    return found


def _load_base(model: nn.Module, init_cfg: dict, file: str) -> None:
    try:
        init = PretrainedInit(init_cfg["checkpoint"], init_cfg["prefix"])
        init(model.get_submodule(init_cfg["module"]))
    except FileNotFoundError as error:
        raise ValueError(
            f"{file} needs its frozen base {init_cfg['checkpoint']}, which is not there: set "
            "backbone.init_cfg.checkpoint, or call mmdyt.load_adapter(file, base=...)"
        ) from error


def _check_parts(model: nn.Module, state_dict: dict, prefix: str, local_metadata: dict) -> None:
    given = {key[len(prefix) :]: key for key in state_dict if key.startswith(prefix)}
    own, added = model.state_dict(), added_names(model)
    backbone = {name for name in own if name.startswith("backbone.") and name not in added}
    wrong: dict[str, list[list[str]]] = defaultdict(lambda: [[], [], []])
    for name, tensor in own.items():
        if name in backbone or "num_batches_tracked" in name:
            continue
        if name not in given:
            wrong[_part(name)][0].append(name)
        elif state_dict[given[name]].shape != tensor.shape:
            shapes = tuple(state_dict[given[name]].shape), tuple(tensor.shape)
            wrong[_part(name)][2].append(f"{name} of {shapes[0]}, the model has {shapes[1]}")
    for name in given.keys() - own.keys():
        if not name.startswith("backbone.") or ADDED.search(name):
            wrong[_part(name)][1].append(name)
    started: bool = model.started.done  # type: ignore[union-attr, assignment]
    if not started:
        _check_whole(model, wrong, local_metadata)
        return
    for part, kinds in wrong.items():
        told = describe(*map(sorted, kinds))
        if part == "backbone":
            if kinds[1] or kinds[2] or len(kinds[0]) < len(added):
                raise ValueError(
                    f"the checkpoint's adapters and dispatchers do not fit the model "
                    f"(backbone.dispatch, num_dense_layers, adapter, dispatcher): {told}"
                )
            continue
        for name in [name for name in given if _part(name) == part]:
            del state_dict[given[name]]
        print_log(
            f"model.{part} starts anew, as the checkpoint's does not fit: {told}", "current", 30
        )


def _check_whole(model: nn.Module, wrong: dict, local_metadata: dict) -> None:
    if wrong:
        kinds = [sorted(sum((parts[kind] for parts in wrong.values()), [])) for kind in range(3)]
        raise ValueError(
            f"the checkpoint does not hold this model: {describe(*kinds)}. A model to be trained "
            "from pre-trained weights takes them in backbone.init_cfg, or after init_weights()"
        )
    theirs = local_metadata.get(CONFIG_META)
    if theirs and (differences := config_differences(theirs, model.resolved_config)):  # type: ignore
        raise ValueError(
            f"the checkpoint belongs to another model: {'; '.join(differences[:5])}"
        )


def _part(name: str) -> str:
    return name.split(".", 1)[0]
