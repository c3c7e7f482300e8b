"""Time one training step of linear probing, AdaptFormer and Dynamic Tuning."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from mmpretrain.models import VisionTransformer
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mmdyt.evaluation.timing import (
    Spread,
    peak_memory,
    ratios,
    saved_activations,
    time_alternately,
)
from mmdyt.models.utils import dispatched_layers

ADAPTED, PLAIN_FORM = "AdaptFormer", "DyT, plain form"
NUM_CLASSES = 100
# Additions to the backbone and to the classifier.
SETTINGS: dict[str, tuple[dict, dict]] = {
    "linear": (dict(dispatch=None, adapter=None), dict(tuning="linear")),
    ADAPTED: (dict(dispatch=None), dict()),
    "DyT": (dict(), dict()),
    "DyT, checkpointed": (dict(with_cp=True), dict()),
    PLAIN_FORM: (dict(), dict()),
}


@dataclass
class TrainingRow:
    """One way to train.

    Args:
        name: A key of :data:`SETTINGS`.
        rate: Activation rate of a step, ``None`` without dispatchers.
        seconds: Time of an optimiser step.
        to_adaptformer: The same as a multiple of AdaptFormer's, round by round.
        saved_mib: What autograd keeps for the backward pass.
        peak_mib: Memory of a step at its peak.
    """

    name: str
    rate: float | None
    seconds: Spread
    to_adaptformer: Spread
    saved_mib: float
    peak_mib: float | None


def build_classifier(name: str, arch: str, pixels: int) -> nn.Module:
    """Build a classifier with one of the :data:`SETTINGS`."""
    backbone, classifier = SETTINGS[name]
    width = VisionTransformer.arch_zoo[arch]["embed_dims"]
    model = MODELS.build(
        dict(
            type="mmdyt.DyTImageClassifier",
            backbone=dict(type="mmdyt.DyTViT", arch=arch, img_size=pixels, **backbone),
            head=dict(type="LinearClsHead", num_classes=NUM_CLASSES, in_channels=width),
            **classifier,
        )
    )
    model.init_weights()
    if name == PLAIN_FORM:  # in which every token has a graph
        for layer in dispatched_layers(model):
            layer.token_wise = {}
    return model


def time_training(args: argparse.Namespace, batch: int, pixels: int) -> list[TrainingRow]:
    """Time one optimiser step of each of the :data:`SETTINGS` on one batch.

    Args:
        args: The command line of ``benchmark.py``.
        batch: Number of images.
        pixels: Their height and width.

    Returns:
        One row a setting.
    """
    torch.manual_seed(0)
    images = torch.randn(batch, 3, pixels, pixels, device=args.device)
    samples = [DataSample().set_gt_label(i % NUM_CLASSES).to(args.device) for i in range(batch)]
    models = {name: build_classifier(name, args.arch, pixels) for name in SETTINGS}
    forwards: dict[str, Callable[[], dict[str, Tensor]]] = {}
    steps: dict[str, Callable[[], None]] = {}
    for name, model in models.items():
        model.to(args.device).train()
        optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=1e-4)

        def forward(model: Any = model) -> dict[str, Tensor]:
            with torch.autocast(images.device.type, args.dtype, args.dtype != torch.float32):
                return model.loss(images, samples)

        def step(model: Any = model, forward=forward, optimizer=optimizer) -> None:
            optimizer.zero_grad()
            model.parse_losses(forward())[0].backward()
            optimizer.step()

        forwards[name], steps[name] = forward, step
    title = f"training steps, {batch} images of {pixels} px"
    seconds = time_alternately(steps, args.rounds, args.budget, args.device, title, args.clock)
    rows = []
    for name, run in steps.items():
        losses, saved = saved_activations(models[name], forwards[name])
        rows.append(
            TrainingRow(
                name=name,
                rate=float(losses["activation_rate"]) if "activation_rate" in losses else None,
                seconds=Spread.of(seconds[name]),
                to_adaptformer=ratios(seconds, name, ADAPTED),
                saved_mib=saved,
                peak_mib=peak_memory(run, args.device),
            )
        )
    return rows
