"""Hugging Face's ViT and DINOv2: separate queries, keys and values, optional LayerScale."""

from __future__ import annotations

from collections.abc import Collection

from mmdyt.converters.layouts import Entry, Layout, affine, count_blocks, stacked

CLS_TOKEN = "embeddings.cls_token"
DINOV2_BLOCK = {
    "norm1": "ln1",
    "attention.output.dense": "attn.proj",
    "norm2": "ln2",
    "mlp.fc1": "ffn.layers.0.0",
    "mlp.fc2": "ffn.layers.1",
}
VIT_BLOCK = {
    "layernorm_before": "ln1",
    "attention.output.dense": "attn.proj",
    "layernorm_after": "ln2",
    "intermediate.dense": "ffn.layers.0.0",
    "output.dense": "ffn.layers.1",
}
LAYER_SCALE = {"layer_scale1.lambda1": "attn.gamma1", "layer_scale2.lambda1": "ffn.gamma2"}


def hf_layout(keys: Collection[str]) -> Layout:
    """Lay out a ViT or DINOv2 of ``transformers``, with or without a model around it.

    Args:
        keys: Those of the checkpoint.

    Returns:
        The layout; what stands outside the encoder's prefix is ignored.

    Raises:
        ValueError: If there is no such encoder, more than one, or one with
            register tokens, for which the backbone has no place.
    """
    prefixes = [key.removesuffix(CLS_TOKEN) for key in keys if key.endswith(CLS_TOKEN)]
    if len(prefixes) != 1:
        raise ValueError(
            f"a checkpoint of Hugging Face's ViT or DINOv2 has one key that ends in {CLS_TOKEN!r}, "
            f"this one has {len(prefixes)}"
        )
    (root,) = prefixes
    registers = f"{root}embeddings.register_tokens"
    if registers in keys:
        raise ValueError(
            f"{registers!r}: backbones with register tokens are not supported; use the variant "
            "without registers"
        )
    projection = f"{root}embeddings.patch_embeddings.projection"
    entries = [
        Entry("backbone.cls_token", (f"{root}{CLS_TOKEN}",)),
        Entry("backbone.pos_embed", (f"{root}embeddings.position_embeddings",)),
        *affine("backbone.patch_embed.projection", projection),
        *affine("backbone.ln1", f"{root}layernorm"),
    ]
    blocks = f"{root}encoder.layer."
    dinov2 = f"{blocks}0.norm1.weight" in keys
    for index in range(count_blocks(keys, blocks)):
        new, old = f"backbone.layers.{index}", f"{blocks}{index}"
        for kind in ("weight", "bias"):
            # three of (C, C) or of (C,) -> (3 * C, C) or (3 * C,)
            names = (
                f"{old}.attention.attention.{name}.{kind}" for name in ("query", "key", "value")
            )
            entries.append(Entry(f"{new}.attn.qkv.{kind}", tuple(names), stacked))
        for source, target in (DINOV2_BLOCK if dinov2 else VIT_BLOCK).items():
            entries += affine(f"{new}.{target}", f"{old}.{source}")
        if dinov2:
            entries += [
                Entry(f"{new}.{target}.weight", (f"{old}.{source}",))
                for source, target in LAYER_SCALE.items()
            ]
    outside = tuple(key for key in keys if not key.startswith(root))
    heads = ("pooler.", "classifier.", "embeddings.mask_token")
    return Layout(entries, outside + tuple(f"{root}{head}" for head in heads))
