"""Which prompts, and which segments of their channels, are worth keeping (E2VPT)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

from mmdyt.checks import check_number
from mmdyt.fileio import save_safetensors
from mmdyt.models.layers import PromptTokens

FORMAT = "mmdyt-kept-prompts"
LEAST_SEGMENTS = 4


def prompt_importance(
    model: nn.Module, losses: Iterable[Tensor], num_segments: int = 16
) -> tuple[Tensor, Tensor]:
    """Sum the gradients of masks of ones on prompts and on segments of them.

    As in E2VPT's released code: signed, one pair of masks for all layers, and
    segment ``s`` has the channels ``s, s + S, s + 2 S, ...``. A mask of ones needs no
    parameter: its gradient is that of the prompt times the prompt.

    Args:
        model: A model with deep prompts.
        losses: Losses of batches, each computed from the model when it is asked
            for.
        num_segments: ``S``. Defaults to 16.

    Returns:
        Importance of the prompts, ``(P,)``, and of their segments, ``(P, S)``.

    Raises:
        ValueError: If there are no prompts or no batches, ``num_segments`` does
            not divide their channels, or a gradient is not finite.
    """
    prompts = [part.tokens for part in model.modules() if isinstance(part, PromptTokens)]
    if not prompts:
        raise ValueError("the model has no prompts: backbone.type='mmdyt.PromptedViT' has")
    channels = prompts[0].shape[2]
    if channels % num_segments:
        raise ValueError(f"num_segments={num_segments} does not divide the {channels} channels")
    total = torch.zeros_like(prompts[0][0], dtype=torch.float64)  # (P, C)
    count = 0
    for loss in losses:
        count += 1
        for grad, tokens in zip(torch.autograd.grad(loss, prompts), prompts):
            total += (grad * tokens).detach()[0]
    if not count or not torch.isfinite(total).all():
        raise ValueError(f"{count} batches gave no finite gradient of the prompts")
    segments = total.unflatten(1, (-1, num_segments)).sum(dim=1)  # (P, C) -> (P, S)
    return segments.sum(dim=1), segments


def choose_prompts(
    tokens: Tensor, segments: Tensor, drop_tokens: float, drop_segments: float
) -> tuple[Tensor, Tensor]:
    """Drop shares of the prompts and of their segments, the least important first.

    Args:
        tokens: Importance of prompts, ``(P,)``.
        segments: Importance of their segments, ``(P, S)``.
        drop_tokens: Share of prompts to drop, in [0, 1). One is left in any case.
        drop_segments: Share of each prompt's segments to drop, in [0, 1). Four
            are left in any case.

    Returns:
        What is kept, ``(P,)`` and ``(P, S)``, bool.

    Raises:
        ValueError: If a share is outside [0, 1).
    """
    check_number("--drop-tokens", drop_tokens, "[0, 1)")
    check_number("--drop-segments", drop_segments, "[0, 1)")
    kept = []
    for scores, share, least in (
        (tokens, drop_tokens, 1),
        (segments, drop_segments, LEAST_SEGMENTS),
    ):
        size = scores.shape[-1]
        number = max(size - int(share * size), min(least, size))
        best = scores.argsort(dim=-1, descending=True)[..., :number]
        kept.append(torch.zeros_like(scores, dtype=torch.bool).scatter(-1, best, True))
    return kept[0], kept[1]


def save_kept_prompts(file: str | Path, tokens: Tensor, segments: Tensor, **meta) -> None:
    """Write what :func:`choose_prompts` kept to a ``.safetensors`` file."""
    save_safetensors(file, dict(tokens=tokens, segments=segments), dict(meta, format=FORMAT))


def read_kept_prompts(file: str, num_prompts: int, channels: int) -> Tensor:
    """Read the mask of the prompts that are left.

    Args:
        file: A file of :func:`save_kept_prompts`.
        num_prompts: ``P``, before pruning.
        channels: ``C``.

    Returns:
        Zeros and ones, ``(P', C)``: only the kept prompts have a row.

    Raises:
        ValueError: If there is no such file, or it is of another number of prompts
            or width, or keeps nothing.
    """
    tool = "tools/analysis_tools/prompt_importance.py"
    try:
        loaded = CheckpointLoader.load_checkpoint(file, map_location="cpu", logger="silent")
    except FileNotFoundError:
        raise ValueError(f"backbone.keep={file!r} is not there: {tool} writes it") from None
    if loaded.get("meta", {}).get("format") != FORMAT:
        raise ValueError(f"backbone.keep={file!r} is no file of {tool}")
    kept = loaded["state_dict"]
    tokens, segments = kept["tokens"].bool(), kept["segments"]
    if not len(tokens) == len(segments) == num_prompts or channels % segments.shape[1]:
        raise ValueError(
            f"backbone.keep={file!r} is of {len(tokens)} prompts with {segments.shape[1]} "
            f"segments, not of backbone.num_prompts={num_prompts} with {channels} channels"
        )
    if not tokens.any():
        raise ValueError(f"backbone.keep={file!r} keeps no prompt: take num_prompts=0")
    return segments[tokens].float().repeat(1, channels // segments.shape[1])
