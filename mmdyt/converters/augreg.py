"""Google's AugReg files: JAX kernels, input first."""

from __future__ import annotations

from collections.abc import Collection

from mmdyt.converters.layouts import Entry, Layout, count_blocks, stacked


def augreg_layout(keys: Collection[str]) -> Layout:
    """Lay out Google's AugReg ``.npz``: kernels are stored input first."""
    entries = [
        Entry("backbone.cls_token", ("cls",)),
        Entry("backbone.pos_embed", ("Transformer/posembed_input/pos_embedding",)),
        # (H, W, in, out) -> (out, in, H, W)
        Entry(
            "backbone.patch_embed.projection.weight",
            ("embedding/kernel",),
            lambda t: t[0].permute(3, 2, 0, 1),
        ),
        Entry("backbone.patch_embed.projection.bias", ("embedding/bias",)),
        *_augreg_norm("backbone.ln1", "Transformer/encoder_norm"),
    ]
    for index in range(count_blocks(keys, "Transformer/encoderblock_")):
        new, old = f"backbone.layers.{index}", f"Transformer/encoderblock_{index}"
        attn = f"{old}/MultiHeadDotProductAttention_1"
        qkv = ("query", "key", "value")
        entries += [
            *_augreg_norm(f"{new}.ln1", f"{old}/LayerNorm_0"),
            # three of (C, H, D) -> (3 * H * D, C)
            Entry(
                f"{new}.attn.qkv.weight",
                tuple(f"{attn}/{name}/kernel" for name in qkv),
                lambda tensors: stacked([t.flatten(1).T for t in tensors]),
            ),
            # three of (H, D) -> (3 * H * D)
            Entry(
                f"{new}.attn.qkv.bias",
                tuple(f"{attn}/{name}/bias" for name in qkv),
                lambda tensors: stacked([t.flatten() for t in tensors]),
            ),
            # (H, D, C) -> (C, H * D)
            Entry(
                f"{new}.attn.proj.weight", (f"{attn}/out/kernel",), lambda t: t[0].flatten(0, 1).T
            ),
            Entry(f"{new}.attn.proj.bias", (f"{attn}/out/bias",)),
            *_augreg_norm(f"{new}.ln2", f"{old}/LayerNorm_2"),
            *_augreg_dense(f"{new}.ffn.layers.0.0", f"{old}/MlpBlock_3/Dense_0"),
            *_augreg_dense(f"{new}.ffn.layers.1", f"{old}/MlpBlock_3/Dense_1"),
        ]
    return Layout(entries, ("head/", "pre_logits/"))


def _augreg_norm(new: str, old: str) -> list[Entry]:
    return [Entry(f"{new}.weight", (f"{old}/scale",)), Entry(f"{new}.bias", (f"{old}/bias",))]


def _augreg_dense(new: str, old: str) -> list[Entry]:
    kernel = Entry(f"{new}.weight", (f"{old}/kernel",), lambda t: t[0].T)
    return [kernel, Entry(f"{new}.bias", (f"{old}/bias",))]
