"""Pure functions of Dynamic Tuning: no state, no modules, no mm library."""

from mmdyt.ops.cpu_autocast import attention, autocasts_on_cpu
from mmdyt.ops.gumbel import gumbel_sigmoid, hard_sigmoid, logit
from mmdyt.ops.mixed_linear import mixed_linear
from mmdyt.ops.rank_rand import rank_rand
from mmdyt.ops.reflection import reflect
from mmdyt.ops.token_select import (
    active_graph,
    active_indices,
    gather_tokens,
    is_compiling,
    is_traced,
    keep_prefix,
    masked_branch,
    scatter_add_tokens,
)
from mmdyt.ops.tome import (
    Matching,
    bipartite_soft_matching,
    merge_tokens,
    proportional_attention,
)
from mmdyt.ops.varlen_attention import (
    is_padded,
    masked_attention,
    padded_attention,
    varlen_attention,
)

__all__ = [
    "Matching",
    "active_graph",
    "active_indices",
    "attention",
    "autocasts_on_cpu",
    "bipartite_soft_matching",
    "gather_tokens",
    "gumbel_sigmoid",
    "hard_sigmoid",
    "is_compiling",
    "is_padded",
    "is_traced",
    "keep_prefix",
    "logit",
    "masked_attention",
    "masked_branch",
    "merge_tokens",
    "mixed_linear",
    "padded_attention",
    "proportional_attention",
    "rank_rand",
    "reflect",
    "scatter_add_tokens",
    "varlen_attention",
]
