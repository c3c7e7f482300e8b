"""Time inference of dense, adapted and dispatched ViTs on the same images."""

from __future__ import annotations

import argparse
import copy
from dataclasses import dataclass
from functools import partial

import torch
from clock_limit import Mlps, clock_limit, mlp_tokens
from mmpretrain.models.peft.lora import LoRALinear
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from mmdyt.evaluation import CostAccount
from mmdyt.evaluation.timing import Spread, peak_memory, ratios, time_alternately
from mmdyt.models.layers import DispatchedLayer
from mmdyt.models.utils import collect_dispatch, dispatched_layers, pack_linears

DENSE, ADAPTED, LORA, ALL_ACTIVE = "dense", "AdaptFormer", "LoRA, merged", "DyT, all active"
PACKED = ", packed"  # behind the name of a model whose linear layers are packed
LORA_ARGS = dict(type="LoRAModel", alpha=16, rank=8, targets=[dict(type=".*qkv")])


def released_way(
    layer: DispatchedLayer, name: str, base: Tensor, x: Tensor, mask: Tensor | None
) -> Tensor:
    """Skip as the released code does, for comparison: nonzero, zeros, scatter."""
    assert mask is not None
    flat = x.reshape(-1, x.shape[-1])  # (B, N, C) -> (B * N, C)
    rows = mask.flatten().nonzero().expand(-1, x.shape[-1])  # (K, 1) -> (K, C)
    active = layer.branch(name)(flat.gather(0, rows), None)
    return base + torch.zeros_like(flat).scatter(0, rows, active).view_as(x)


@dataclass
class Row:
    """One model on one batch.

    Args:
        name: The model.
        rate: Measured share of active tokens, ``None`` without dispatchers.
        gflops: Of an image, as the decisions on these images make them.
        seconds: Time of the batch.
        ideal: Gain over the dense model that the FLOPs allow.
        gain: Measured gain over the dense model, round by round.
        share: Share of the ideal gain that was reached.
        clock: Gain over the dense model that the clock allows, ``None`` where not
            only MLPs skip tokens.
        peak_mib: Memory at the peak beyond the weights of all models.
    """

    name: str
    rate: float | None
    gflops: float
    seconds: Spread
    ideal: float
    gain: Spread
    share: Spread
    clock: float | None
    peak_mib: float | None


def merge_lora(model: nn.Module) -> None:
    """Fold LoRA's products into the linear maps they stand beside, in place."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, LoRALinear):
                product = child.lora_up.weight @ child.lora_down.weight
                child.original_layer.weight.data += child.scaling * product
                setattr(parent, name, child.original_layer)


def calibrate(model: nn.Module, images: Tensor, rate: float) -> None:
    """Set the dispatchers' biases so that ``rate`` of these images' tokens are active.

    One pass: each layer is set before it decides, and the next one sees what
    comes of it.
    """
    prefix = dispatched_layers(model)[0].num_prefix

    def set_bias(dispatcher: nn.Module, args: tuple[Tensor]) -> None:
        proj = dispatcher.get_submodule("proj")
        assert isinstance(proj, nn.Linear)
        logits = (proj(args[0])[:, prefix:] - proj.bias).float()
        lowest = logits.flatten().quantile(1 - rate) if rate < 1 else logits.min() - 1
        proj.bias.fill_(-float(lowest))

    handles = [
        dispatcher.register_forward_pre_hook(set_bias)
        for layer in dispatched_layers(model)
        for dispatcher in layer.dispatcher.values()
    ]
    model(images)
    for handle in handles:
        handle.remove()


def cost_and_rate(model: nn.Module, images: Tensor) -> tuple[float, float | None]:
    """FLOPs of an image and share of active tokens, as these images are dispatched."""
    with collect_dispatch(model) as records:
        model(images)
    flops = float(CostAccount(model).flops(records, images).mean())
    if not records:
        return flops, None
    return flops, float(torch.cat([record.rate() for record in records]).mean())


def build_models(args: argparse.Namespace, images: Tensor) -> dict[str, nn.Module]:
    """Build the models of a table, which share the dense model's weights."""
    vit = dict(arch=args.arch, img_size=images.shape[-1], patch_size=16)
    dyt = dict(type="mmdyt.DyTViT", **vit)
    middle = sorted(args.rates)[len(args.rates) // 2]
    ours, released, tome = f"DyT {middle:g}", f"released way {middle:g}", f"DyT {middle:g} + ToMe"
    rates = {ALL_ACTIVE: 1.0} | {f"DyT {rate:g}": rate for rate in args.rates}
    rates |= {released: middle, tome: middle}
    configs = {DENSE: dict(type="VisionTransformer", **vit), ADAPTED: dict(dyt, dispatch=None)}
    configs |= dict.fromkeys(rates, dyt) | {tome: dict(dyt, type="mmdyt.ToMeViT", r=args.merge)}

    models = {name: MODELS.build(config) for name, config in configs.items()}
    models[DENSE].init_weights()
    lora = MODELS.build(dict(LORA_ARGS, module=configs[DENSE]))
    merge_lora(lora)
    models[LORA] = lora.module
    for name, model in models.items():
        if name not in (DENSE, LORA):
            model.load_state_dict(models[DENSE].state_dict(), strict=False, assign=True)
        model.to(args.device, args.dtype).eval()
    for name, rate in rates.items():
        calibrate(models[name], images, rate)
    # Ways to skip are compared on equal decisions.
    models[released].load_state_dict(models[ours].state_dict(), assign=True)
    for layer in dispatched_layers(models[released]):
        layer.fixed_rules["mlp"] = released_way
    if torch.device(args.device).type == "cpu" and args.dtype == torch.float32:
        models |= {name + PACKED: copy.deepcopy(models[name]) for name in (DENSE, ours)}
    return models


def dense_of(name: str) -> str:
    """The dense model in the form of a model: as it is, or packed."""
    return DENSE + PACKED if name.endswith(PACKED) else DENSE


def part_names(name: str, rate: float) -> tuple[str, str]:
    """Names of the dense model's MLPs on all tokens, and on those that a rate leaves."""
    form = dense_of(name)
    return f"MLPs of {form}", f"MLPs of {form} at {rate:.3f}"


def mlp_calls(
    models: dict[str, nn.Module], rates: dict[str, float], batch: int
) -> dict[str, partial[Tensor]]:
    """Prepare what the clock limit of every model with a rate is computed from."""
    calls: dict[str, partial[Tensor]] = {}
    for name, rate in rates.items():
        dense = models[dense_of(name)]
        tokens = mlp_tokens(dense, batch, rate)
        calls |= {part: partial(Mlps(dense), t) for part, t in zip(part_names(name, rate), tokens)}
    return calls


@torch.no_grad()
def time_inference(args: argparse.Namespace, batch: int, pixels: int) -> list[Row]:
    """Time all models on one batch.

    Args:
        args: The command line of ``benchmark.py``.
        batch: Number of images.
        pixels: Their height and width.

    Returns:
        One row a model.
    """
    torch.manual_seed(0)
    images = torch.randn(batch, 3, pixels, pixels, device=args.device, dtype=args.dtype)
    models = build_models(args, images)
    flops, rates = {}, {}
    for name, model in models.items():
        flops[name], rates[name] = cost_and_rate(model, images)
        if name.endswith(PACKED):
            pack_linears(model)
    calls = {name: partial(model, images) for name, model in models.items()}
    limits = {name: rate for name, rate in rates.items() if rate is not None and "ToMe" not in name}
    parts = mlp_calls(models, limits, batch)
    title = f"{batch} images of {pixels} px"
    timing = args.rounds, args.budget, args.device, title, args.clock
    seconds = time_alternately(calls | parts, *timing)
    rows = []
    for name, call in calls.items():
        ideal = flops[DENSE] / flops[name]
        gain = ratios(seconds, DENSE, name)
        rows.append(
            Row(
                name=name,
                rate=rates[name],
                gflops=flops[name] / 1e9,
                seconds=Spread.of(seconds[name]),
                ideal=ideal,
                gain=gain,
                share=gain.times(1 / ideal),
                clock=clock_limit(seconds, dense_of(name), *part_names(name, limits[name]))
                if name in limits
                else None,
                peak_mib=peak_memory(call, args.device),
            )
        )
    return rows
