"""ETHER: reflections of frozen weights."""

from __future__ import annotations

from typing import Any

from mmdyt.checks import check_choice, check_integer
from mmdyt.models.backbones.dyt_vit import DyTViT
from mmdyt.models.layers.ether_linear import SIDES, VARIANTS, EtherLinear
from mmdyt.registry import MODELS

TARGETS = {
    "qkv": "attn.qkv",
    "proj": "attn.proj",
    "fc1": "ffn.layers.0.0",
    "fc2": "ffn.layers.1",
}
PUBLISHED_SIDES = {"ether": "in", "ether_plus": "both"}


@MODELS.register_module()
class EtherViT(DyTViT):
    """``DyTViT`` whose frozen linear layers are reflected by trained directions.

    ETHER and ETHER+ (Bini et al., ICML 2024, arXiv 2405.20271), of which these
    are the plain forms with ``dispatch=None, adapter=None``. As in the paper and
    its code: ``W' = W H`` with ``H = blockdiag(I - 2 u u^T)``, and for ETHER+
    ``W' = H+ W H+`` with ``H+ = I - u u^T + v v^T``; queries, keys and values have
    directions of their own, ``u`` is Kaiming-uniform and ``v`` starts as ``-u``.
    ETHER+ therefore starts as the frozen model, and ETHER does not: each block
    has the distance 2 from the identity, always. There is no published vision
    figure; all six maps and four blocks are our choice. Blocks are those of the
    paper: the released code groups rows of the weight instead, which for
    several blocks is another map.

    The number of parameters does not depend on the blocks: 82,944 for ETHER and
    331,776 for ETHER+ on ViT-B/16. Leave the directions out of weight decay
    (``paramwise_cfg=dict(custom_keys={'.ether.': dict(decay_mult=0)})``): it
    changes no function, but the size of the steps.
    :func:`mmdyt.models.utils.merged` folds them into the weights.

    Args:
        *args: As ``DyTViT``.
        ether (dict): ``variant``: ``'ether'`` or ``'ether_plus'``, by default
            ``'ether'``; ``num_blocks``: blocks of a reflection, by default 4;
            ``sides``: ``'in'``, ``'out'`` or ``'both'``, by default those of the
            variant; ``targets``: names among ``'qkv'``, ``'proj'``, ``'fc1'`` and
            ``'fc2'``, by default all. Defaults to ``dict()``.
        **kwargs: As ``DyTViT``.

    Raises:
        ValueError: If a key or a value is unknown, no target is named, a layer
            has no such target, or ``num_blocks`` does not divide its channels.
    """

    def __init__(self, *args, ether: dict = dict(), **kwargs) -> None:
        super().__init__(*args, **kwargs)
        given: dict[str, Any] = dict(
            variant="ether", num_blocks=4, sides=None, targets=list(TARGETS)
        )
        for key in ether:
            check_choice("backbone.ether", key, given)
        given |= ether
        variant, num_blocks, targets = given["variant"], given["num_blocks"], given["targets"]
        check_choice("backbone.ether.variant", variant, VARIANTS)
        check_integer("backbone.ether.num_blocks", num_blocks, "[1, inf)")
        sides = given["sides"] or PUBLISHED_SIDES[variant]
        check_choice("backbone.ether.sides", sides, SIDES)
        if not targets:
            raise ValueError(f"backbone.ether.targets is empty; choose among {list(TARGETS)}")
        for name in targets:
            check_choice("backbone.ether.targets", name, TARGETS)
            for layer in self.layers:
                try:
                    linear = layer.get_submodule(TARGETS[name])
                except AttributeError:
                    raise ValueError(
                        f"backbone.ether.targets: {name!r} is no part of this backbone's layers, "
                        f"whose MLP is a {type(layer.ffn).__name__}"
                    ) from None
                EtherLinear.from_linear(name, linear, variant, num_blocks, sides)
