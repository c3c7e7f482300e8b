"""Two independent counters that the cost account is held to."""

from contextlib import contextmanager

import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mmdyt.models.utils import collect_dispatch


def _attention_products(inputs, outputs):
    batch, heads, queries, width = inputs[0].type().sizes()
    keys = inputs[1].type().sizes()[2]
    return 2 * batch * heads * queries * keys * width


def _batched_products(inputs, outputs):
    batch, rows, inner = inputs[1].type().sizes()
    return batch * rows * inner * inputs[2].type().sizes()[2]


def fvcore_count(model, inputs):
    """fvcore's count, with formulas of the two products that it passes over."""
    analysis = FlopCountAnalysis(model, inputs)
    analysis.set_op_handle("aten::scaled_dot_product_attention", _attention_products)
    analysis.set_op_handle("aten::baddbmm", _batched_products)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    analysis.tracer_warnings("none")
    with torch.no_grad():
        analysis.total()
    return analysis


class _WithLogits(nn.Module):
    """Return the dispatchers' logits too: a trace drops what no output needs."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, inputs):
        with collect_dispatch(self.model) as records:
            outputs = self.model(inputs)
        return outputs, [record.logits for record in records if record.logits is not None]


def fvcore_total(model, inputs):
    """FLOPs of a forward pass as it really runs, by fvcore."""
    return fvcore_count(_WithLogits(model), inputs).total()


@contextmanager
def _plain_attention():
    """torch's counter has no formula for the fused attention of CPUs."""
    before = torch.backends.cuda.flash_sdp_enabled()
    torch.backends.cuda.enable_flash_sdp(False)
    try:
        yield
    finally:
        torch.backends.cuda.enable_flash_sdp(before)


def matmul_flops(model, inputs):
    """Multiply-adds of all matrix products that a forward pass really runs."""
    with _plain_attention(), torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(inputs)
    return counter.get_total_flops() / 2  # torch counts a multiply-add twice
