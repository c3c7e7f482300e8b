"""SPT: what is selected, and that exactly this trains."""

import pytest
import torch
from torch import nn

from mmdyt.models.layers.sparse_delta import SparseDelta, SPTLinear
from mmdyt.models.utils import merged
from mmdyt.models.utils.frozen_base import fingerprint
from mmdyt.models.utils.sensitivity import (
    Part,
    Selection,
    backbone_parts,
    load_selection,
    module_size,
    save_selection,
    select,
    sensitivity,
)
from tests.conftest import build, tiny_backbone, tiny_classifier, tiny_selection

SPT = dict(type="mmdyt.SPTViT", rank=2, dispatch=None, adapter=None)


def plain():
    torch.manual_seed(0)
    return build(tiny_backbone(dispatch=None, adapter=None))


def losses(model, batches=2):
    torch.manual_seed(1)
    images = torch.randn(batches, 2, 3, 28, 28)
    return [lambda each=each: model(each)[0].square().sum() for each in images]


def test_scores_are_the_sums_of_squared_gradients():
    model = plain()
    scores = sensitivity(model, (loss() for loss in losses(model)))
    expected = {name: torch.zeros_like(param) for name, param in model.named_parameters()}
    for loss in losses(model):
        model.zero_grad()
        loss().backward()
        for name, param in model.named_parameters():
            expected[name] += param.grad**2
    for name, score in scores.items():
        torch.testing.assert_close(score, expected[name])
    left = set(expected) - set(scores)
    assert left == {
        "cls_token",
        "pos_embed",
        "patch_embed.projection.weight",
        "patch_embed.projection.bias",
    }


def test_adapters_and_dispatchers_are_no_part_of_the_frozen_backbone():
    assert backbone_parts(build(tiny_backbone(dispatch="attn_mlp"))) == backbone_parts(plain())


def test_data_and_a_head_that_is_not_zero_are_needed():
    model = plain()
    with pytest.raises(ValueError, match=r"gradients of 0 batches sum to 0"):
        sensitivity(model, [])
    zero = (0 * loss() for loss in losses(model))
    with pytest.raises(ValueError, match="head whose weights are not zero"):
        sensitivity(model, zero)
    with pytest.raises(ValueError, match="2 batches sum to nan"):
        sensitivity(model, (loss() * float("nan") for loss in losses(model)))


def test_the_accounting_is_that_of_a_released_selection():
    """CIFAR-100 at 0.4 M: 14 LoRA modules, 69 vectors, 23,789 weights, 380,909 parameters."""
    width, rank = 768, 8
    modules = 4 * [(768, 768)] + 3 * [(768, 768)] + 4 * [(3072, 768)] + 3 * [(768, 3072)]
    structured = sum(module_size("lora", *shape, rank) for shape in modules)
    vectors = 68 * 768 + 3072
    assert structured + vectors == 356_352 and 356_352 + 23_789 + width == 380_909
    assert module_size("adapter", 768, 768, 8) == 2 * 8 * 768 + 8 + 768


def test_marked_weights_become_modules_vectors_or_single_weights():
    """Two matrices of 40 x 40 and two vectors of 10; a module of rank 1 has 80 parameters."""
    parts = {
        "dense.weight": Part("dense.weight", 0, 40, 40, True),
        "thin.weight": Part("thin.weight", 0, 40, 40, True),
        "dense.bias": Part("dense.bias", 0, 10, 1, False),
        "thin.bias": Part("thin.bias", 0, 10, 1, False),
    }
    scores = {name: torch.zeros(p.rows, p.columns).squeeze() for name, p in parts.items()}
    scores["dense.weight"][0, :8] = 1.0  # 8 >= 80 / 10
    scores["thin.weight"][3, 2:9] = 1.0  # 7 of them are not enough
    scores["dense.bias"][[2, 5]] = 1.0  # 2 >= 10 / 5
    scores["thin.bias"][7] = 1.0
    options = dict(class_token=4, structured="lora", rank=1, thresholds=[18])
    (found,) = select(scores, parts, [0.0001], **options)
    assert found.structured == ("dense.weight",) and found.vectors == ("dense.bias",)
    expected = {"thin.weight": list(range(122, 129)), "dense.bias": [*range(10)], "thin.bias": [7]}
    assert {name: index.tolist() for name, index in found.indices.items()} == expected
    assert found.total == 80 + 7 + 10 + 1 + 4


def test_the_total_is_within_a_step_of_the_budget_and_is_what_trains(tmp_path):
    model = plain()
    scores, parts = sensitivity(model, (loss() for loss in losses(model))), backbone_parts(model)
    grid = [200 * step for step in range(1, 60)]
    for structured in ("lora", "adapter"):
        budgets = [0.0, 0.001, 0.002, 0.003]
        for budget, found in zip(
            budgets, select(scores, parts, budgets, 32, structured, 2, thresholds=grid)
        ):
            assert abs(found.total - 1e6 * budget) < 700 or not budget
            file = str(tmp_path / f"{structured}-{budget}.safetensors")
            shapes = {name: list(score.shape) for name, score in scores.items()}
            save_selection(file, found, structured=structured, rank=2, shapes=shapes)
            again, _ = load_selection(file)
            assert again.structured == found.structured and again.vectors == found.vectors
            spt = build(tiny_classifier(SPT | dict(selection=file), dyt=None))
            trained = {
                n: p for n, p in spt.named_parameters() if p.requires_grad and n[:4] != "head"
            }
            assert sum(p.numel() for p in trained.values()) == found.total
            if not budget:
                assert set(trained) == {"backbone.cls_token"}
        with pytest.raises(ValueError, match=r"--budget must be a number in \[0, 0\.0"):
            select(scores, parts, [1.0], 32, structured, 2)


@pytest.mark.parametrize("structured", ["lora", "adapter"])
@torch.no_grad()
def test_a_fresh_model_is_the_frozen_one_and_a_merged_one_the_trained(structured):
    base = plain()
    model = build(tiny_backbone(**SPT, selection=tiny_selection(structured)))
    keys = model.load_state_dict(base.state_dict(), strict=False)
    assert not keys.unexpected_keys and all(".spt." in key for key in keys.missing_keys)
    base.eval(), model.eval()
    images = torch.randn(2, 3, 28, 28)
    torch.testing.assert_close(model(images), base(images))
    for name, param in model.named_parameters():
        if ".spt." in name:
            nn.init.normal_(param, std=0.3)
    small = merged(model)
    torch.testing.assert_close(small(images), model(images), atol=1e-4, rtol=1e-4)
    left = [name for name in small.state_dict() if ".spt." in name]
    assert all(".spt.rows_" in name for name in left) and bool(left) == (structured == "adapter")


def test_sparse_training_is_dense_training_with_a_masked_gradient():
    torch.manual_seed(0)
    dense, sparse = nn.Linear(6, 4), nn.Linear(6, 4)
    sparse.load_state_dict(dense.state_dict())
    index = torch.tensor([1, 7, 22])
    mask = torch.zeros(24).index_fill(0, index, 1.0).view(4, 6)
    sparse.__class__ = SPTLinear
    sparse.spt = nn.ModuleDict(dict(weight=SparseDelta(index)))
    x = torch.randn(5, 6)
    for _ in range(3):
        (one,) = torch.autograd.grad(dense(x).square().sum(), [dense.weight])
        (other,) = torch.autograd.grad(sparse(x).square().sum(), [sparse.spt["weight"].values])
        with torch.no_grad():
            dense.weight -= 0.01 * one * mask
            sparse.spt["weight"].values -= 0.01 * other
    torch.testing.assert_close(sparse.spt["weight"](sparse.weight), dense.weight)


def test_selections_of_something_else_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"backbone\.selection is missing"):
        build(tiny_backbone(**SPT))
    file = tiny_selection("lora")
    with pytest.raises(ValueError, match="is of another architecture"):
        build(tiny_backbone(**SPT, selection=file, final_norm=False))
    with pytest.raises(ValueError, match=r"backbone\.rank=4, and .* counts on 2"):
        build(tiny_backbone(**SPT | dict(rank=4), selection=file))
    with pytest.raises(ValueError, match=r"backbone\.selection='gone\.safetensors' is not there"):
        build(tiny_backbone(**SPT, selection="gone.safetensors"))
    foreign = str(tmp_path / "foreign.safetensors")
    from mmdyt.fileio import save_safetensors

    save_safetensors(foreign, dict(a=torch.ones(1)), {})
    with pytest.raises(ValueError, match=r"is no file of tools/analysis_tools/sensitivity\.py"):
        build(tiny_backbone(**SPT, selection=foreign))


def test_another_base_is_refused_when_it_is_loaded(tmp_path):
    base = plain()
    names = {part.tensor for part in backbone_parts(base).values()}
    tensors = {name: param for name, param in base.named_parameters() if name in names}
    shapes = {name: list(tensor.shape) for name, tensor in tensors.items()}
    file = str(tmp_path / "selection.safetensors")
    nothing = Selection((), (), {}, 32)
    facts = dict(structured="lora", rank=2, shapes=shapes, base=fingerprint(tensors))
    save_selection(file, nothing, **facts)
    for seed, fits in ((0, True), (1, False)):
        torch.manual_seed(seed)
        state = build(tiny_backbone(dispatch=None, adapter=None)).state_dict()
        torch.save(state, tmp_path / f"{seed}.pth")
        init_cfg = dict(type="Pretrained", checkpoint=str(tmp_path / f"{seed}.pth"))
        model = build(tiny_backbone(**SPT, selection=file, init_cfg=init_cfg))
        if fits:
            model.init_weights()
        else:
            with pytest.raises(
                ValueError, match=r"was made on other weights than backbone\.init_cfg"
            ):
                model.init_weights()
