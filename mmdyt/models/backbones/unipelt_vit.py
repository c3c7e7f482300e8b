"""UniPELT: gated LoRA, prefix and adapter in one."""

from __future__ import annotations

from torch import nn

from mmdyt.checks import check_integer
from mmdyt.models.backbones.prompted_vit import PromptedViT
from mmdyt.models.layers.gated_lora import GatedLoRALinear
from mmdyt.models.layers.key_value_attention import InputGate, KeyValueAttention, KeyValuePrefix
from mmdyt.models.layers.prefix_mlp import MLPPrefix, PrefixMLP
from mmdyt.registry import MODELS


@MODELS.register_module()
class UniPELTViT(PromptedViT):
    """``DyTViT`` with LoRA, key-value prefixes and adapters, each behind a gate.

    UniPELT (Mao et al., ACL 2022), and with ``num_prompts=10`` the form of
    "Parameter-Efficient Fine-Tuning With Adapters" (arXiv 2405.05493), which adds
    prompt tuning; of both this is the plain form with ``dispatch=None``. As in
    the released code: gates ``g = mean_N sigmoid(h w + b)`` for LoRA's queries, its
    values, the prefix and the adapter, in place of LoRA's ``alpha / r``; rank 8;
    prefixes of 10 from an MLP ``C -> 512 -> 2 L C`` with tanh. Ours: the adapter
    stands beside the MLP, as all adapters here, where the release has it behind;
    ``up`` and LoRA's ``B`` start at zero. The parameters are those of the release
    on RoBERTa-base, which has ViT-B's width: 11,083,376, with prompts 11,091,056.
    No vision figure is published. Not the frozen model at the start, because of
    prefix and prompts.

    Once trained, :func:`mmdyt.models.utils.merged` keeps the MLP's output alone:
    ``folded=True`` builds that form, 1,410,672 parameters, 7,680 more with
    prompts. Gates depend on the input, so that LoRA stays beside the weights.

    Args:
        *args: As ``DyTViT``.
        lora_rank (int): Rank of LoRA, 0 for none. Defaults to 8.
        prefix_length (int): Keys and values of a layer, 0 for none. Defaults to 10.
        prefix_hidden_dims (int): Hidden width of the prefix's MLP. Defaults to 512.
        folded (bool): Whether prefixes are tokens of their own. Defaults to
            ``False``.
        num_prompts (int): Prompts before the first layer. Defaults to 0.
        adapter (dict | None): Defaults to a ``BottleneckAdapter`` with ``gate=True``
            and a bottleneck of 48.
        **kwargs: As ``DyTViT``; ``dispatch`` is ``'mlp'`` or ``None``.

    Raises:
        ValueError: If a value is outside its range, all four parts are off, or
            ``dispatch`` takes tokens from attention, or ``kv_prompts`` is given.
        TypeError: With ``rel_pos_bias`` or ``window_size``.
    """

    needs_prompts = False

    def __init__(
        self,
        *args,
        lora_rank: int = 8,
        prefix_length: int = 10,
        prefix_hidden_dims: int = 512,
        folded: bool = False,
        num_prompts: int = 0,
        adapter: dict | None = dict(
            type="mmdyt.BottleneckAdapter", bottleneck_dims=48, scale=1.0, gate=True
        ),
        **kwargs,
    ) -> None:
        check_integer("backbone.lora_rank", lora_rank, "[0, inf)")
        check_integer("backbone.prefix_length", prefix_length, "[0, inf)")
        check_integer("backbone.prefix_hidden_dims", prefix_hidden_dims, "[1, inf)")
        if not (lora_rank or prefix_length or num_prompts or adapter):
            raise ValueError(
                "every part of UniPELT is off: set backbone.lora_rank, backbone.prefix_length, "
                "backbone.num_prompts or backbone.adapter, or take mmdyt.DyTViT"
            )
        if kwargs.get("kv_prompts"):
            raise ValueError(
                f"backbone.kv_prompts={kwargs['kv_prompts']} is E2VPT's, of mmdyt.PromptedViT: in "
                "mmdyt.UniPELTViT backbone.prefix_length gives attention keys and values"
            )
        kwargs.setdefault("prompt_depth", "shallow")
        super().__init__(*args, num_prompts=num_prompts, adapter=adapter, **kwargs)
        if lora_rank or prefix_length:
            self._needs_all_tokens("lora_rank" if lora_rank else "prefix_length")
        if prefix_length and not folded:
            self.prefix_mlp = PrefixMLP(
                prefix_length, self.embed_dims, self.num_layers, prefix_hidden_dims
            )
        for index, layer in enumerate(self.layers):
            attn = layer.attn
            if lora_rank:
                GatedLoRALinear.from_linear(attn.qkv, lora_rank)
            if prefix_length:
                KeyValueAttention.from_attention(attn, prefix_length)
                gate = InputGate(self.embed_dims, 1, "average", bias=True)
                shape = attn.num_heads, attn.head_dims
                attn.prefix = (
                    KeyValuePrefix(prefix_length, *shape, gate=gate)
                    if folded
                    else MLPPrefix(self.prefix_mlp, index, *shape, gate)
                )

    def merge(self) -> nn.Module:
        """Keep the prefixes that the MLP makes and drop it, in place; return itself."""
        if hasattr(self, "prefix_mlp"):
            for layer in self.layers:
                layer.attn.prefix = layer.attn.prefix.fold()
            del self.prefix_mlp
        return self
