"""Training in bfloat16 on a CPU."""

import torch
from mmengine.optim import build_optim_wrapper

from mmdyt.models.utils import dispatched_layers
from mmdyt.ops import attention
from tests.conftest import build, tiny_classifier
from tests.test_models.test_complete_model_mixin import batch


def test_a_config_trains_in_bfloat16():
    model = build(tiny_classifier()).train()
    seen = []
    layer = dispatched_layers(model)[0]
    layer.ffn.register_forward_hook(lambda module, args, out: seen.append(out.dtype))
    assert layer.attn.scaled_dot_product_attention is attention
    before = {name: p.clone() for name, p in model.named_parameters()}
    wrapper = build_optim_wrapper(
        model,
        dict(type="mmdyt.Bfloat16OptimWrapper", optimizer=dict(type="AdamW", lr=0.1)),
    )
    for _ in range(2):  # the first step moves no zero that is multiplied by one
        with wrapper.optim_context(model):
            loss, _ = model.parse_losses(model.loss(*batch()))
        wrapper.update_params(loss)
    assert torch.bfloat16 in seen
    changed = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    assert changed == {n for n, p in model.named_parameters() if p.requires_grad}
    assert all(p.dtype == torch.float32 for p in model.parameters())
    assert not torch.is_autocast_enabled("cpu")
