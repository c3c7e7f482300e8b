"""The tuning methods that ``methods_table.py`` measures, with what their publications say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Method:
    """A row to measure.

    Args:
        config: A file of ``configs/_base_/tuning``, without its suffix.
        published: Millions of parameters of its publication on ViT-B's width, or
            what else it says; ``'-'`` where nothing was found.
        changes: Overrides of the config. Defaults to none.
    """

    config: str
    published: str
    changes: dict[str, Any] = field(default_factory=dict)


METHODS = {
    "linear": Method("linear", "0"),
    "full": Method("full", "85.8"),
    "bitfit": Method("bitfit", "0.10"),
    "adaptformer": Method("adaptformer", "1.19"),
    "lora": Method("lora", "0.29"),
    "vpt_deep": Method("vpt_deep", "-"),
    "ssf": Method("ssf", "0.21"),
    "dyt": Method("dyt", "1.19"),
    "iconformer": Method("iconformer", "1.6-2.8 % of the backbone"),
    "adapter_x": Method("adapter_x", "0.17"),
    "ether": Method("ether", "0.085 (language)"),
    "ether_plus": Method("ether_plus", "0.33 (language)"),
    "unipelt": Method("unipelt", "11.08 unfolded (language)", {"model.backbone.folded": True}),
    "prefix": Method("prefix", "-"),
    "apt": Method("apt", "-", {"model.backbone.prefix_length": 10}),
    "e2vpt": Method("e2vpt", "0.32 % of the backbone"),
    "dapt": Method("dapt", "1.1 (points, width 384)"),
    "spt_lora": Method("spt_lora", "0.2-0.8, a choice of each task"),
    "spt_adapter": Method("spt_adapter", "0.2-0.8, a choice of each task"),
}
