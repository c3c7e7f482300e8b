"""Load hooks of a whole model: the right weights or a clear refusal, whoever loads.

Every loader ends in ``load_state_dict``: mmengine's runner and ``EMAHook``,
mmpretrain's ``get_model`` and inferencers, mmseg's ``init_model``, mmaction's
``init_recognizer``. What a file says of itself arrives here in the
``_metadata`` of its state dict.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, NamedTuple

from mmengine.logging import print_log
from mmengine.model.weight_init import PretrainedInit
from torch import Tensor, nn

from mmdyt.fileio import ADAPTER_FORMAT, ADAPTER_META, CONFIG_META
from mmdyt.models.utils.freeze import added_names
from mmdyt.models.utils.frozen_base import each_unlike, split_state, unlike
from mmdyt.models.utils.model_config import config_differences

# Names of what tuning adds to a backbone, in any file.
ADDED = re.compile(
    r"(^|\.)(adapter|dispatcher|prompts|prefix|prefix_mlp|experts|ether|gated_lora|spt|tfts"
    r"|cls_position|ssf|lora_down|lora_up|rel_pos_bias)\."
)


class Started:
    """Whether ``init_weights`` of a model ran, which training begins with.

    Copies share it: ``EMAHook`` copies a model before that.
    """

    done = False

    def __deepcopy__(self, memo: dict) -> Started:
        """Give the same object."""
        return self


class Fault(NamedTuple):
    """A key by which a checkpoint and a model differ.

    Args:
        kind: ``'missing'``, ``'unexpected'`` or ``'of another shape'``.
        name: The key.
        text: The key as an error shows it, with shapes.
    """

    kind: str
    name: str
    text: str


def compare_states(given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> list[Fault]:
    """List where the keys and shapes of a checkpoint are not those of a model."""
    faults = [Fault("missing", name, name) for name in own if name not in given]
    faults += [Fault("unexpected", name, name) for name in given if name not in own]
    for name, tensor in own.items():
        if name in given and given[name].shape != tensor.shape:
            text = f"{name} is {tuple(given[name].shape)}, the model has {tuple(tensor.shape)}"
            faults.append(Fault("of another shape", name, text))
    return faults


def describe(faults: Iterable[Fault]) -> str:
    """Say in a line which keys do not match, three of each kind."""
    kinds = defaultdict(list)
    for fault in faults:
        kinds[fault.kind].append(fault.text)
    return "; ".join(
        f"{len(texts)} {kind}: {', '.join(texts[:3])}{' ...' if len(texts) > 3 else ''}"
        for kind, texts in kinds.items()
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
    given = {
        key[len(prefix) :]: value
        for key, value in state_dict.items()
        if key[: len(prefix)] == prefix
    }
    if (meta := local_metadata.get(ADAPTER_META)) is not None:
        _check_adapter(model, given, meta)
        model.budgets = meta.get("budgets")
        for name, tensor in _require_base(model, meta).items():
            state_dict[prefix + name] = tensor
    else:
        for name in _check_parts(model, given, local_metadata):
            del state_dict[prefix + name]


def _check_adapter(model: nn.Module, given: dict[str, Tensor], meta: dict) -> None:
    source = f"{meta['file']} (trained with {meta.get('config') or 'an unnamed config'})"
    if meta["format"] != ADAPTER_FORMAT:
        raise ValueError(
            f"{source} is of format {meta['format']}, which does not say enough of its model; "
            f"this version reads {ADAPTER_FORMAT}: load the run's epoch_*.pth instead, and save it "
            "with mmdyt.save_adapter"
        )
    _refuse(source, config_differences(meta["resolved"], model.resolved_config))  # type: ignore
    if faults := compare_states(given, split_state(model)[0]):
        raise ValueError(f"{source} does not match this model: {describe(faults)}")


def _refuse(source: str, differences: list[str]) -> None:
    if differences:
        raise ValueError(f"{source} belongs to another model: {_listed(differences)}")


def _listed(differences: list[str]) -> str:
    more = f" and {len(differences) - 5} more" if len(differences) > 5 else ""
    return f"{'; '.join(differences[:5])}{more}"


def _require_base(model: nn.Module, meta: dict) -> dict[str, Tensor]:
    """Frozen tensors that an adapter was trained on, loaded if they are not there yet."""
    frozen = split_state(model)[1]
    if next(each_unlike(meta["base"], frozen), None) is None:
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
            "backbone.init_cfg to the checkpoint that it was trained on, or name that as base= of "
            "mmdyt.load_adapter"
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
                found.append(dict(module=path or "backbone", checkpoint=checkpoint, prefix=prefix))
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


def _check_parts(model: nn.Module, given: dict[str, Tensor], local_metadata: dict) -> list[str]:
    """Check a file that is no adapter file; return the keys of heads that start anew."""
    ours, theirs = model.resolved_config, local_metadata.get(CONFIG_META)
    # Hosts resize position embeddings to the model's img_size.
    differences = config_differences(theirs, ours, ("img_size",)) if theirs else []  # type: ignore
    added = added_names(model)
    faults: dict[str, list[Fault]] = defaultdict(list)
    for fault in compare_states(given, model.state_dict()):
        part = fault.name.split(".", 1)[0]
        # The rest of the backbone is the business of the backbone's own hook.
        counts = part != "backbone" or fault.name in added or ADDED.search(fault.name)
        if counts and "num_batches_tracked" not in fault.name:
            faults[part].append(fault)
    if not model.started.done:  # type: ignore[union-attr]
        if faults:
            raise ValueError(
                f"the checkpoint does not hold this model: {describe(chain(*faults.values()))}. A "
                "model to be trained from pre-trained weights takes them in backbone.init_cfg, or "
                "after init_weights()"
            )
        _refuse("the checkpoint", differences)
    elif differences:
        message = f"the checkpoint belongs to another model: {_listed(differences)}"
        print_log(message, "current", logging.WARNING)
    missing = {fault.name for fault in faults["backbone"] if fault.kind == "missing"}
    if len(missing) < len(faults["backbone"]) or missing not in (set(), added):
        raise ValueError(
            "the checkpoint's adapters and dispatchers do not fit the model (backbone.dispatch, "
            f"num_dense_layers, adapter, dispatcher): {describe(faults['backbone'])}"
        )
    for part in faults.keys() - {"backbone"}:
        message = (
            f"model.{part} starts anew, as the checkpoint has another: {describe(faults[part])}"
        )
        print_log(message, "current", logging.WARNING)
    return [name for name in given if name.split(".", 1)[0] in faults.keys() - {"backbone"}]
