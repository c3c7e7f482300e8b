"""The account of real dispatch decisions equals what independent counters see."""

import pytest
import torch
from mmengine.config import ConfigDict
from torch import nn

from mmdyt.evaluation import CostAccount
from mmdyt.models.utils import collect_dispatch, dispatch_mode, dispatched_layers
from tests.conftest import build, randomise_adapters, tiny_backbone, tiny_classifier
from tests.test_evaluation.counting import fvcore_total, matmul_flops

VARIANTS = ["mlp", "attn", "attn_mlp", "layer"]
DISPATCHED = [
    *(dict(dispatch=variant) for variant in VARIANTS),
    dict(dispatch="attn_mlp", num_dense_layers=2),
    dict(dispatch="layer", with_cls_token=False, out_type="avg_featmap"),
]


def backbone(activation="some", **args):
    """Build a backbone whose dispatchers keep no, some or all patch tokens."""
    model = build(tiny_backbone(**args))
    model.eval()
    randomise_adapters(model)
    for layer in dispatched_layers(model):
        for dispatcher in layer.dispatcher.values():
            nn.init.normal_(dispatcher.proj.weight, std=0.0 if activation != "some" else 1.0)
            nn.init.constant_(dispatcher.proj.bias, {"none": -1, "some": 0, "all": 1}[activation])
    return model


@torch.no_grad()
def dispatched(model, inputs):
    with collect_dispatch(model) as records:
        model(inputs)
    return records


def norm_flops_saved(model, records):
    """LayerNorm work spared: not a matrix product, so torch's counter misses it."""
    norms = dict(attn=1, mlp=1, layer=2)
    width = model.embed_dims
    return sum(norms[record.branch] * 5 * width * (~record.mask).sum().item() for record in records)


@pytest.mark.parametrize("args", DISPATCHED, ids=str)
def test_partial_activation_equals_both_counters(args):
    model = backbone(**args)
    inputs = torch.rand(3, 3, 28, 28)
    records = dispatched(model, inputs)
    flops = CostAccount(model).flops(records, inputs)
    counts = torch.stack([record.num_active() for record in records])
    assert (counts != counts[:, :1]).any(), "the images must differ in their active tokens"

    # fvcore traces the skipping execution itself, norms included.
    assert flops.sum().item() == fvcore_total(model, inputs)
    for image, cost in zip(inputs, flops):
        assert cost.item() == fvcore_total(model, image[None])

    with dispatch_mode(model, "masked"):
        everything = matmul_flops(model, inputs)
        full = fvcore_total(model, inputs)
    spared = everything - matmul_flops(model, inputs) + norm_flops_saved(model, records)
    assert flops.sum().item() == full - spared


@pytest.mark.parametrize("activation", ["none", "all"])
@pytest.mark.parametrize("args", DISPATCHED, ids=str)
def test_no_and_full_activation(args, activation):
    model = backbone(activation, **args)
    inputs = torch.rand(2, 3, 28, 28)
    records = dispatched(model, inputs)
    account = CostAccount(model)
    with dispatch_mode(model, "masked"):
        full = fvcore_total(model, inputs)
        everything = matmul_flops(model, inputs)
    spared = everything - matmul_flops(model, inputs) + norm_flops_saved(model, records)

    flops = account.flops(records, inputs)
    assert flops.sum().item() == full - spared
    assert (spared == 0) == (activation == "all")
    rate = dict(none=0.0, all=1.0)[activation]
    assert account.flops_at_rate(inputs, rate) == flops[0].item()


def test_expected_cost_at_a_rate_is_that_of_so_many_tokens():
    model = backbone(dispatch="layer")
    inputs = torch.rand(1, 3, 28, 28)
    records = dispatched(model, inputs)
    account = CostAccount(model)
    for record in records:  # another choice of round(0.3 * 49) = 15 tokens in every layer
        record.mask[:] = False
        record.mask[:, 0] = True
        record.mask[:, 1 + torch.randperm(49)[:15]] = True
    assert account.flops(records, inputs).item() == account.flops_at_rate(inputs, 0.3)


def test_which_tokens_are_active_does_not_matter_but_how_many_does():
    model = backbone(dispatch="attn")
    inputs = torch.rand(2, 3, 28, 28)
    records = dispatched(model, inputs)
    account = CostAccount(model)
    before = account.flops(records, inputs)
    for record in records:
        record.mask[:] = record.mask.flip(1)
    assert torch.equal(account.flops(records, inputs), before)
    records[0].mask[1] = False
    after = account.flops(records, inputs)
    assert after[0] == before[0] and after[1] < before[1]


@pytest.mark.parametrize("adapter", [None, dict(type="mmdyt.BottleneckAdapter", bottleneck_dims=4)])
def test_without_dispatch_every_sample_costs_the_same(adapter):
    model = backbone(dispatch=None, adapter=adapter)
    inputs = torch.rand(3, 3, 28, 28)
    account = CostAccount(model)
    flops = account.flops(dispatched(model, inputs), inputs)
    assert flops.tolist() == [fvcore_total(model, inputs[:1])] * 3
    assert account.dense_flops(inputs) == flops[0].item()


def test_dense_flops_leave_dispatchers_out():
    model = backbone(dispatch="mlp")
    account = CostAccount(model)
    inputs = torch.rand(1, 3, 28, 28)
    with dispatch_mode(model, "complete"):
        complete = fvcore_total(model, inputs)
    assert account.dense_flops(inputs) == complete
    dispatchers = 3 * 50 * 32  # layers * tokens * width
    assert account.flops_at_rate(inputs, 1.0) == complete + dispatchers


def test_counting_leaves_no_trace():
    model = build(tiny_classifier())
    model.train()
    training = [module.training for module in model.modules()]
    inputs = torch.rand(2, 3, 28, 28)
    state = torch.get_rng_state()
    with collect_dispatch(model) as outer:
        CostAccount(model).flops_at_rate(inputs, 0.5)
    assert outer == []
    assert [module.training for module in model.modules()] == training
    assert all(layer.dispatch_mode == "dynamic" for layer in dispatched_layers(model))
    assert torch.equal(torch.get_rng_state(), state)


def test_model_is_traced_once_a_shape():
    model = backbone(dispatch="mlp")
    account = CostAccount(model)
    passes = []
    model.register_forward_hook(lambda *_: passes.append(1))
    for size in (28, 28, 32, 28):
        account.flops_at_rate(torch.rand(2, 3, size, size), 0.5)
    assert len(passes) == 2


class Clips(nn.Module):
    """Frames folded into the batch, as video models do."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone

    def forward(self, clips):
        frames = clips.flatten(0, 1)  # (B, T, 3, H, W) -> (B * T, 3, H, W)
        return self.backbone(frames)


def test_a_sample_of_several_images():
    model = Clips(backbone(dispatch="attn_mlp"))
    clips = torch.rand(2, 4, 3, 28, 28)
    flops = CostAccount(model).flops(dispatched(model, clips), clips)
    assert flops.tolist() == [fvcore_total(model, clip[None]) for clip in clips]


@pytest.mark.parametrize("dispatch", ["attn", "layer"])
def test_attention_at_full_length_is_charged_so(dispatch, monkeypatch):
    """As on a GPU: the real kernels of that path run here, on the CPU."""
    model = backbone(dispatch=dispatch)
    inputs = torch.rand(2, 3, 28, 28)
    packed = dispatched(model, inputs)
    assert not any(record.padded for record in packed)
    for module in ("layers.records", "layers.dyt_encoder_layer"):
        monkeypatch.setattr(f"mmdyt.models.{module}.is_padded", lambda x: True)
    records = dispatched(model, inputs)
    account = CostAccount(model)
    executed = account.flops(records, inputs)
    assert executed.sum().item() == fvcore_total(model, inputs)
    unpadded = account.flops(records, inputs, padding=False)
    assert torch.equal(unpadded, account.flops(packed, inputs))
    assert (executed > unpadded).all()
    mlp = backbone(dispatch="mlp")
    assert not any(record.padded for record in dispatched(mlp, inputs)), "it has no attention"


def test_two_dispatched_backbones_are_counted_apart():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.other = backbone(dispatch="mlp"), backbone(dispatch="layer")

        def forward(self, x):
            return self.one(x), self.other(x)

    model, inputs = Both(), torch.rand(2, 3, 28, 28)
    flops = CostAccount(model).flops(dispatched(model, inputs), inputs)
    assert flops.sum().item() == fvcore_total(model, inputs)


def test_records_of_several_passes():
    model = backbone(dispatch="mlp")
    windows = torch.rand(2, 3, 3, 28, 28)
    with collect_dispatch(model) as records:
        for batch in windows:
            with torch.no_grad():
                model(batch)
    flops = CostAccount(model).flops(records, windows[0])
    assert flops.tolist() == [fvcore_total(model, w[None]) for w in windows.flatten(0, 1)]


def test_whole_classifier():
    model = build(tiny_classifier())
    model.eval()
    inputs = torch.rand(2, 3, 28, 28)
    account = CostAccount(model)
    flops = account.flops(dispatched(model, inputs), inputs)
    assert flops.sum().item() == fvcore_total(model, inputs)
    by_module = account.complete(inputs).by_module
    assert by_module["backbone"] + by_module["head"] == account.dense_flops(inputs)
    assert by_module["head"] == 32 * 10


class Products(nn.Module):
    """The kinds of matrix products that models are written with."""

    def __init__(self, product):
        super().__init__()
        self.product = product

    def forward(self, x):
        return self.product(x)


@pytest.mark.parametrize(
    "product",
    [
        lambda x: nn.functional.scaled_dot_product_attention(x, x[:, :, :3], x[:, :, :3]),
        lambda x: torch.baddbmm(x.new_zeros(1), x[:, 0], x[:, 1].transpose(1, 2)),
        lambda x: torch.einsum("bhnc,bhmc->bnm", x, x),
        lambda x: x @ x.transpose(2, 3),
    ],
    ids=["attention", "baddbmm", "einsum", "matmul"],
)
def test_every_kind_of_product_is_counted(product):
    model, inputs = Products(product), torch.rand(1, 4, 5, 6)
    assert CostAccount(model).dense_flops(inputs) == matmul_flops(model, inputs)


def test_distances_count_a_multiply_add_a_coordinate():
    model = Products(lambda x: torch.cdist(x, x[:, :3]))
    assert CostAccount(model).dense_flops(torch.rand(1, 5, 6)) == 5 * 3 * 6


def test_slide_inference_of_a_segmentor():
    head = dict(
        type="mmseg.FCNHead",
        in_channels=32,
        channels=8,
        num_classes=4,
        loss_decode=dict(type="mmseg.CrossEntropyLoss", avg_non_ignore=True),
    )
    model = build(
        dict(
            type="mmseg.EncoderDecoder",
            backbone=tiny_backbone(out_type="featmap"),
            decode_head=head,
            test_cfg=ConfigDict(mode="slide", crop_size=(28, 28), stride=(14, 14)),
        )
    )
    model.eval()
    image = torch.rand(1, 3, 42, 42)
    with collect_dispatch(model) as records, torch.no_grad():
        model.slide_inference(image, [dict(ori_shape=(42, 42))])
    windows = [image[..., y : y + 28, x : x + 28] for y in (0, 14) for x in (0, 14)]
    flops = CostAccount(model).flops(records, windows[0])
    assert flops.tolist() == [fvcore_total(model, window) for window in windows]


def test_foreign_records_are_refused():
    model = backbone(dispatch="mlp")
    inputs = torch.rand(1, 3, 28, 28)
    account = CostAccount(model)
    with pytest.raises(ValueError, match="inside collect_dispatch"):
        account.flops([], inputs)
    with pytest.raises(ValueError, match=r"records of 50 tokens .* \(1, 3, 32, 32\)"):
        account.flops(dispatched(model, inputs), torch.rand(1, 3, 32, 32))
    with pytest.raises(ValueError, match=r"in \[0, 1\], got 1.5"):
        account.flops_at_rate(inputs, 1.5)
