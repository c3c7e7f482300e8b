"""What may share the frozen backbone of a bank."""

from __future__ import annotations

from dataclasses import dataclass

from mmengine.model import BaseModel
from mmpretrain.models.classifiers import ImageClassifier
from torch import Tensor, nn

from mmdyt.models.backbones import DispatchedBackbone
from mmdyt.models.utils import added_names, dispatched_layers
from mmdyt.models.utils.frozen_base import fingerprint, unlike
from mmdyt.models.utils.load_guards import pretrained_inits
from mmdyt.models.utils.model_config import config_differences

# Keys of a backbone's config in which the tasks of a bank may differ.
OWN_KEYS = ("adapter", "dispatch", "dispatcher", "num_dense_layers")


@dataclass(frozen=True)
class TrunkFacts:
    """What a model says of its frozen backbone.

    Args:
        source: The checkpoint that it was filled from.
        config: Its config, without the keys in which tasks may differ.
    """

    source: str
    config: dict

    @classmethod
    def of(cls, model: BaseModel) -> TrunkFacts:
        """Read them from a model of mmdyt."""
        source = next(iter(pretrained_inits(model)), {}).get("checkpoint", "weights from no file")
        backbone = model.resolved_config["backbone"]
        shared = {key: value for key, value in backbone.items() if key not in OWN_KEYS}
        return cls(source, dict(backbone=shared))


def require_same_trunk(
    task: str, model: BaseModel, own: TrunkFacts, trunk: nn.Module, facts: TrunkFacts
) -> None:
    """Refuse a model over another frozen backbone than the bank's.

    Args:
        task: Name of the task, for the error.
        model: Its model.
        own: What that says of its backbone.
        trunk: The bank's backbone.
        facts: What the model that it came with said of it.

    Raises:
        ValueError: Naming what differs.
    """
    differences = config_differences(own.config, facts.config)
    theirs, ours = (
        [layer.variant.branches for layer in dispatched_layers(backbone)]
        for backbone in (model.backbone, trunk)
    )
    if theirs != ours:
        differences.append("backbone.dispatch: 'layer' goes with no other variant")
    if differences:
        raise ValueError(
            f"task {task!r} has another backbone than the bank: {'; '.join(differences[:5])}"
        )
    if wrong := unlike(fingerprint(_frozen(model.backbone)), _frozen(trunk)):
        raise ValueError(
            f"task {task!r} was trained on another base than the bank's: on {own.source}, and the "
            f"bank has {facts.source}; {len(wrong)} frozen tensors differ, first {wrong[0]}"
        )


def require_separable(task: str, model: BaseModel) -> None:
    """Refuse a model of which tasks cannot share everything but adapters and head.

    Args:
        task: Name of the task, for the error.
        model: Its model.

    Raises:
        ValueError: If it is no classifier over a backbone of mmdyt, or trained more than
            adapters, dispatchers and its head.
    """
    backbone = getattr(model, "backbone", None)
    if not isinstance(model, ImageClassifier) or not isinstance(backbone, DispatchedBackbone):
        raise ValueError(
            f"task {task!r} is {type(model).__name__} over {type(backbone).__name__}: a bank takes "
            "DyTImageClassifier over a backbone of mmdyt, such as mmdyt.DyTViT"
        )
    own = {
        f"{path}.{part}.{name}"
        for path, layer in model.named_modules()
        if layer in dispatched_layers(model)
        for part in ("adapter", "dispatcher")
        for name, _ in layer.get_submodule(part).named_parameters()
    }
    inside = {name for name in model.trained_names if name.startswith("backbone.")}
    if more := sorted(inside - own):
        raise ValueError(
            f"task {task!r} trained {more[0]}{' and others' if more[1:] else ''}, which is part of "
            "no adapter, dispatcher or head: a bank shares everything else among its tasks"
        )


def _frozen(backbone: nn.Module) -> dict[str, Tensor]:
    """The parameters that all tasks share, by name."""
    added = added_names(backbone)
    return {name: param for name, param in backbone.named_parameters() if name not in added}
