"""Tuning and dispatch are two axes: every pair works, or is refused with a reason."""

import pytest
import torch
from mmengine import Config
from torch import nn

from mmdyt.engine.adapter_checkpoint import load_adapter, save_adapter
from mmdyt.engine.deployment import Logits, trace
from mmdyt.evaluation import CostAccount
from mmdyt.models.utils import collect_dispatch, merged, trainable_names
from tests.conftest import CONFIGS, TINY_ARCH, build, tiny_backbone, tiny_selection
from tests.test_evaluation.counting import fvcore_total
from tests.test_models.helpers import both_executions, spread_dispatch, train_step

TUNING = CONFIGS / "_base_/tuning"
# 'dyt*' and 'dynamic_full' dispatch by themselves; a linear probe would not train dispatchers.
ALONE = {"linear"}
METHODS = sorted(p.stem for p in TUNING.glob("*.py") if not p.stem.startswith("dy"))
METHODS = [name for name in METHODS if name not in ALONE]
VARIANTS = ("mlp", "attn", "attn_mlp", "layer")
# What needs attention among all tokens.
MLP_ONLY = {
    "prefix": "backbone.prefix_length needs attention among all tokens",
    "apt": "backbone.prefix_length needs attention among all tokens",
    "e2vpt": "backbone.kv_prompts needs attention among all tokens",
    "unipelt": "backbone.lora_rank needs attention among all tokens",
    "unipelt_prompts": "backbone.lora_rank needs attention among all tokens",
    "dapt": "is not supported by DAPTEncoderLayer",
}


def dispatched(name: str, variant: str, tmp_path, init_cfg: dict | None = None) -> Config:
    """The base of dispatch over a tuning, as a config file, on the tiny ViT."""
    backbone = "dict(module=_base_.dispatch)" if name == "lora" else "_base_.dispatch"
    bases = [str(TUNING / f"{name}.py"), str(CONFIGS / "_base_/dispatch.py")]
    path = tmp_path / f"{name}.py"
    path.write_text(f"_base_ = {bases}\nmodel = dict(backbone={backbone}, dyt=_base_.dyt)\n")
    model = Config.fromfile(path).model
    tiny = dict(arch=TINY_ARCH, img_size=28, patch_size=4, dispatch=variant, init_cfg=init_cfg)
    model.backbone.get("module", model.backbone).update(tiny)
    model.head.update(num_classes=10, in_channels=32)
    if name.startswith("spt"):
        model.backbone.update(selection=tiny_selection(name.removeprefix("spt_")), rank=2)
    return model


def randomise(model: nn.Module) -> None:
    """What tuning adds has an effect, and dispatchers tell tokens apart."""
    for name, param in model.named_parameters():
        if param.requires_grad and "dispatcher" not in name:
            param.data += 0.1 * torch.randn_like(param)
    spread_dispatch(model)


@pytest.mark.parametrize("name", METHODS)
def test_every_pair_trains_and_skips_as_it_masks(name, tmp_path, subtests):
    images = torch.randn(3, 3, 28, 28)
    for variant in VARIANTS:
        with subtests.test(variant):
            config = dispatched(name, variant, tmp_path)
            if variant != "mlp" and name in MLP_ONLY:
                with pytest.raises(ValueError, match=MLP_ONLY[name]):
                    build(config)
                continue
            model = build(config)
            names = trainable_names(model)
            dispatchers = {n for n, _ in model.named_parameters() if ".dispatcher." in n}
            alone = build(Config(dict(model=dispatched(name, None, tmp_path))).model)
            moved = {n.replace(f"adapter.{v}.", "adapter.mlp.") for v in VARIANTS for n in names}
            assert dispatchers and set(names) >= dispatchers
            assert moved - dispatchers >= set(trainable_names(alone))
            losses = train_step(model, images)
            assert losses["loss"] > 0 and 0 < losses["activation_rate"] < 1
            randomise(model)
            skipped, masked = both_executions(model, images)
            torch.testing.assert_close(skipped, masked, atol=1e-4, rtol=1e-4)
            # A validation counts what was computed, as fvcore sees it.
            with torch.no_grad(), collect_dispatch(model) as records:
                model(images[:1])
            cost = CostAccount(model).flops(records, images[:1])
            assert cost.item() == fvcore_total(model, images[:1])
            with torch.no_grad():
                torch.testing.assert_close(merged(model)(images), skipped, atol=1e-4, rtol=1e-4)


def test_every_pair_comes_back_from_its_adapter_file(tmp_path, subtests):
    base = build(tiny_backbone(dispatch=None, adapter=None)).state_dict()
    named = {f"backbone.{name}": tensor for name, tensor in base.items()}
    torch.save(dict(state_dict=named), tmp_path / "base.pth")
    checkpoint = str(tmp_path / "base.pth")
    init_cfg = dict(type="Pretrained", checkpoint=checkpoint, prefix="backbone.")
    images = torch.randn(2, 3, 28, 28)
    for name in METHODS:
        with subtests.test(name):
            model = build(dispatched(name, "mlp", tmp_path, init_cfg))
            model.init_weights()
            randomise(model)
            save_adapter(model, tmp_path / "adapter.safetensors")
            again = load_adapter(tmp_path / "adapter.safetensors")
            with torch.no_grad():
                assert torch.equal(again(images), model.eval()(images))


@pytest.mark.long
@pytest.mark.parametrize("name", METHODS)
def test_every_pair_exports_with_its_merged_weights(name, tmp_path):
    if not hasattr(torch.compiler, "is_exporting"):
        pytest.skip(f"torch {torch.__version__} has no torch.compiler.is_exporting: no export")
    model = build(dispatched(name, "mlp", tmp_path))
    randomise(model)
    model = Logits(merged(model))
    images = torch.randn(3, 3, 28, 28)
    with torch.no_grad():
        program = trace(model, images[:2])
        torch.testing.assert_close(program.module()(images), model(images), atol=1e-4, rtol=1e-4)


def test_a_linear_probe_warns_that_its_dispatchers_stay_as_drawn(tmp_path):
    with pytest.warns(UserWarning, match="leaves the token dispatchers as they were drawn"):
        build(dispatched("linear", "mlp", tmp_path))
