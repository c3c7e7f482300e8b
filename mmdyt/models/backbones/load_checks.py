"""A frozen backbone comes from a file that fills it, or not at all."""

from __future__ import annotations

import re

from torch import nn

from mmdyt.models.utils.freeze import added_names
from mmdyt.models.utils.load_guards import ADDED, Fault, compare_states, describe

# What a checkpoint may hold beyond a backbone and what tuning adds: heads, and the parts that a
# backbone leaves out on request (final_norm=False, out_type, with_cls_token=False, out_indices).
ASIDE = re.compile(
    r"^(cls_token|dist_token|mask_token)$|num_batches_tracked$"
    r"|^(ln[12]|norm\d?|fc|heads?|head_dist|fc_norm|pre_logits|neck)\."
)
CONVERTERS = {
    r"adaptmlp|mlp_token_select": "tools/model_converters/official_to_mmdyt.py",
    r"(^|\.)blocks\.\d+\.attn\.qkv": "tools/model_converters/timm_to_mmdyt.py",
    r"Transformer/encoderblock": "tools/model_converters/augreg_npz_to_mmdyt.py",
    r"encoder\.layer\.\d+\.attention": "tools/model_converters/hf_to_mmdyt.py",
}
LAYOUTS = {
    r"visual\.transformer\.resblocks": "CLIP's names, for which no converter is shipped",
}


def require_whole_backbone(module: nn.Module, state_dict: dict, prefix: str, *_) -> None:
    """Load hook that raises unless a checkpoint fills all pre-trained tensors.

    mmengine loads non-strictly: of a file with other names, fewer layers or
    another width it would take what fits and leave the rest of a frozen
    backbone random. What tuning adds may be missing; what else the file holds
    for the backbone must be known.

    Args:
        module: The backbone that is being loaded.
        state_dict: The checkpoint's tensors.
        prefix: Where the backbone stands in ``state_dict``.

    Raises:
        ValueError: Naming the first tensors that are missing, unexpected or of
            another shape, and the converter that the names point to.
    """
    given = {
        key[len(prefix) :]: value for key, value in state_dict.items() if key.startswith(prefix)
    }
    own, added = module.state_dict(), added_names(module)

    def counts(fault: Fault) -> bool:
        if fault.kind == "missing":
            # Other buffers are counters and index tables, which construction fills.
            return own[fault.name].is_floating_point() and fault.name not in added
        aside = ADDED.search(fault.name) or ASIDE.search(fault.name)
        return fault.kind == "of another shape" or not aside

    if faults := [fault for fault in compare_states(given, own) if counts(fault)]:
        raise ValueError(
            f"the checkpoint does not fit {type(module).__name__} (backbone.arch, img_size, "
            f"patch_size, layer_cfgs, adapter): {describe(faults)}{_advice(list(given), list(own))}"
        )
    module.is_filled = True  # type: ignore[assignment]


def _advice(keys: list[str], own: list[str]) -> str:
    for pattern, tool in CONVERTERS.items():
        if any(re.search(pattern, key) for key in keys):
            return f". These are the names of another code base: convert the file with {tool}"
    for pattern, layout in LAYOUTS.items():
        if any(re.search(pattern, key) for key in keys):
            return f". These are {layout}"
    before = {key.removesuffix(own[0]) for key in keys if own and key.endswith(f".{own[0]}")}
    if len(before) == 1:
        return f". Set backbone.init_cfg.prefix={before.pop()!r}: it stands before the keys"
    return ""
