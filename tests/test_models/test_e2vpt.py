"""E2VPT: key-value prompts beside prompts, and pruning that removes tokens."""

import pytest
import torch
from mmengine.runner import load_checkpoint
from torch import nn

from mmdyt.engine.adapter_checkpoint import save_adapter
from mmdyt.fileio import save_safetensors
from mmdyt.models.layers import PromptTokens
from mmdyt.models.utils.prompt_pruning import (
    choose_prompts,
    prompt_importance,
    read_kept_prompts,
    save_kept_prompts,
)
from tests.conftest import build, tiny_backbone, tiny_classifier

E2VPT = dict(type="mmdyt.PromptedViT", num_prompts=6, kv_prompts=3, dispatch=None, adapter=None)


def test_one_tensor_serves_as_keys_and_values_and_starts_as_published():
    model = build(tiny_backbone(**E2VPT))
    tokens = model.layers[0].attn.prefix.tokens
    assert tokens.shape == (1, 4, 3, 8)
    assert 0.8 * (6 / 24) ** 0.5 < tokens.abs().max() <= (6 / 24) ** 0.5
    assert build(tiny_backbone(**E2VPT, share_kv=False)).layers[0].attn.prefix.tokens.shape[0] == 2
    assert model(torch.randn(2, 3, 28, 28))[0].shape == (2, 32)


def test_importance_is_the_gradient_of_masks_of_ones():
    model = build(tiny_backbone(**E2VPT))
    images = [torch.randn(2, 3, 28, 28) for _ in range(2)]
    tokens, segments = prompt_importance(model, (model(i)[0].sum() for i in images), 4)
    rho, nu = (torch.ones(shape, requires_grad=True) for shape in ((6,), (6, 4)))

    def masked(module, args, out):
        x = args[0]
        mask = rho[:, None] * nu.repeat(1, 8)  # segment s has the channels s, s + 4, ...
        prompts = (module.tokens * mask).expand(len(x), -1, -1)
        return torch.cat([x[:, :1], prompts, x[:, module.behind :]], dim=1)

    for module in model.modules():
        if isinstance(module, PromptTokens):
            module.register_forward_hook(masked)
    sum(model(i)[0].sum() for i in images).backward()
    torch.testing.assert_close(tokens.float(), rho.grad, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(segments.float(), nu.grad, atol=1e-3, rtol=1e-3)


def test_the_least_important_go_and_some_always_stay():
    scores = torch.tensor([0.3, -2.0, 1.0, 0.1])
    tokens, segments = choose_prompts(scores, torch.arange(32.0).view(4, 8), 0.5, 0.99)
    assert tokens.tolist() == [True, False, True, False]
    assert segments.sum(dim=1).tolist() == [4] * 4 and segments[:, 4:].all()
    assert choose_prompts(scores, torch.zeros(4, 8), 0.99, 0.0)[0].sum() == 1
    with pytest.raises(ValueError, match=r"--drop-tokens must be a number in \[0, 1\), got 1"):
        choose_prompts(scores, torch.zeros(4, 8), 1, 0.0)


@torch.no_grad()
def test_removed_prompts_are_as_if_their_keys_were_masked(tmp_path):
    """Zeros in their place would still attract attention."""
    tokens = torch.tensor([True, False, True, True, False, True])
    segments = torch.rand(6, 4) > 0.3
    save_kept_prompts(tmp_path / "kept.safetensors", tokens, segments)
    whole = build(tiny_backbone(**E2VPT))
    pruned = build(tiny_backbone(**E2VPT, keep=str(tmp_path / "kept.safetensors")))
    state = {name: value for name, value in whole.state_dict().items() if "prompts" not in name}
    pruned.load_state_dict(state, strict=False)
    for one, other in zip(whole.layers, pruned.layers):
        masked = one.prompts.tokens * segments.repeat(1, 8)
        one.prompts.tokens.copy_(masked)
        other.prompts.tokens.copy_(masked[:, tokens])
        assert other.prompts.tokens.shape == (1, 4, 32)
        gone = torch.cat([torch.zeros(3 + 1), 1 - tokens.float(), torch.zeros(49)]).bool()
        bias = torch.zeros(59).masked_fill(gone, -torch.inf)
        attend = one.attn.scaled_dot_product_attention
        one.attn.scaled_dot_product_attention = lambda q, k, v, attend=attend, bias=bias, **kw: (
            attend(q, k, v, attn_mask=bias.expand(q.shape[2], -1), **kw)
        )
    whole.eval(), pruned.eval()
    images = torch.randn(2, 3, 28, 28)
    torch.testing.assert_close(pruned(images), whole(images), atol=1e-5, rtol=1e-5)


def test_wrong_masks_are_refused(tmp_path):
    file = str(tmp_path / "kept.safetensors")
    save_kept_prompts(file, torch.zeros(6).bool(), torch.ones(6, 4).bool())
    with pytest.raises(ValueError, match="keeps no prompt"):
        build(tiny_backbone(**E2VPT, keep=file))
    with pytest.raises(ValueError, match=r"is of 6 prompts with 4 segments, not of .*=5 with 32"):
        read_kept_prompts(file, 5, 32)
    with pytest.raises(ValueError, match="num_segments=5 does not divide the 32 channels"):
        prompt_importance(build(tiny_backbone(**E2VPT)), [], 5)
    with pytest.raises(ValueError, match="0 batches gave no finite gradient"):
        prompt_importance(build(tiny_classifier(E2VPT, dyt=None)), [], 4)
    with pytest.raises(ValueError, match="the model has no prompts"):
        prompt_importance(nn.Linear(2, 2), [], 4)


def test_a_file_that_says_nothing_of_prompts_is_named(tmp_path):
    for name in ("none.safetensors", "other.safetensors"):
        config = tiny_backbone(**E2VPT, keep=str(tmp_path / name))
        told = "is not there" if name[0] == "n" else "is no file of tools/analysis_tools/prompt"
        if name[0] == "o":
            save_safetensors(tmp_path / name, dict(weight=torch.ones(1)), {})
        with pytest.raises(ValueError, match=rf"backbone\.keep='.*{name}' {told}"):
            build(config)


def test_a_pruned_models_adapter_file_loads_with_the_kept_prompts_elsewhere(tmp_path):
    """What is kept is in the weights; the path is only where it came from."""
    kept = torch.tensor([True, False, True, True, False, True]), torch.ones(6, 4, dtype=torch.bool)
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        save_kept_prompts(tmp_path / name / "kept.safetensors", *kept)
    models = []
    for name in ("here", "there"):
        torch.manual_seed(0)  # one base
        backbone = E2VPT | dict(keep=str(tmp_path / name / "kept.safetensors"))
        models.append(build(tiny_classifier(backbone, dyt=None)))
    for layer in models[0].backbone.layers:
        torch.nn.init.normal_(layer.prompts.tokens)
    save_adapter(models[0], tmp_path / "adapter.safetensors")
    load_checkpoint(models[1], str(tmp_path / "adapter.safetensors"))
    ours, theirs = (dict(model.backbone.named_parameters()) for model in models)
    prompts = [name for name in ours if "prompts" in name]
    assert prompts and all(torch.equal(ours[name], theirs[name]) for name in prompts)
