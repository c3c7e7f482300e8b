"""Prefix tuning and Adaptive Prefix Tuning."""

from __future__ import annotations

from mmdyt.checks import check_choice, check_integer
from mmdyt.models.backbones.dyt_vit import DyTViT
from mmdyt.models.layers.key_value_attention import GATES, KeyValueAttention
from mmdyt.registry import MODELS


@MODELS.register_module()
class PrefixViT(DyTViT):
    """``DyTViT`` with trained keys and values in every attention.

    Prefix tuning (Li and Liang, ACL 2021) with ``gate='none'``, and APT,
    Adaptive Prefix Tuning (arXiv 2305.15212), with ``gate='token'`` and
    ``layer_scale=True``: ``lambda * sigmoid(h W) * [P_K, P_V]``. APT's equations are
    from the literature, as no code was found; ours are: ``h`` is the class token
    (or the mean) of the attention's normalised input, no bias in the gate,
    ``lambda`` starts at 1, prefixes at N(0, 0.02). No vision figure is
    published. Not the frozen model at the start: the prefix takes the share
    ``M / (S + M)`` of a query, ``S`` being the sum of its exponentiated scores.

    Args:
        *args: As ``DyTViT``.
        prefix_length (int): Keys and values ``M`` of a layer. Defaults to 10.
        gate (str): ``'none'``, ``'token'`` or ``'mean'``. Defaults to ``'none'``.
        layer_scale (bool): Whether a trained number of each layer multiplies its
            prefix. Defaults to ``False``.
        **kwargs: As ``DyTViT``; ``dispatch`` is ``'mlp'`` or ``None``.

    Raises:
        ValueError: If a value is outside its range, ``gate='token'`` finds no
            class token, or ``dispatch`` takes tokens from attention.
        TypeError: With ``rel_pos_bias`` or ``window_size``.
    """

    def __init__(
        self,
        *args,
        prefix_length: int = 10,
        gate: str = "none",
        layer_scale: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        check_integer("backbone.prefix_length", prefix_length, "[1, inf)")
        check_choice("backbone.gate", gate, GATES)
        if gate == "token" and self.cls_token is None:
            raise ValueError("backbone.gate='token' needs a class token: choose 'mean'")
        self._needs_all_tokens("prefix_length")
        for layer in self.layers:
            KeyValueAttention.from_attention(
                layer.attn, prefix_length, gate=gate, layer_scale=layer_scale
            )
