"""SPT's first stage: which weights of a backbone a task is sensitive to, and how to train them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

from mmdyt.checks import check_choice, check_integer, check_number
from mmdyt.fileio import save_safetensors

STRUCTURED = ("lora", "adapter")
FORMAT = "mmdyt-spt-1"
THRESHOLDS = [20_000 * step for step in range(1, 80)]  # 0.02 M to 1.58 M


@dataclass(frozen=True)
class Part:
    """A matrix or a vector of a backbone; queries, keys and values count apart.

    Args:
        tensor: Name of the parameter that holds it.
        start: First row in it.
        rows: Number of rows.
        columns: Values a row; 1 of a vector.
        matrix: Whether it is a linear layer's weight.
    """

    tensor: str
    start: int
    rows: int
    columns: int
    matrix: bool

    @property
    def size(self) -> int:
        """Number of values."""
        return self.rows * self.columns


def backbone_parts(backbone: nn.Module) -> dict[str, Part]:
    """Matrices and vectors that SPT may train, by names such as ``layers.0.attn.qkv.weight[q]``.

    Those of the layers and of norms; not the class token, which always trains,
    nor the patch projection and the position embedding, which never do.
    """
    parts = {}
    for path, module in backbone.named_modules():
        is_added = not {"adapter", "dispatcher"}.isdisjoint(path.split("."))
        if is_added or not isinstance(module, (nn.Linear, nn.LayerNorm)):
            continue
        for kind, param in module.named_parameters(recurse=False):
            groups = ("[q]", "[k]", "[v]") if path.endswith("attn.qkv") else ("",)
            rows = len(param) // len(groups)
            for index, group in enumerate(groups):
                name = f"{path}.{kind}"
                columns, matrix = param[0].numel(), param.dim() == 2
                parts[name + group] = Part(name, index * rows, rows, columns, matrix)
    return parts


def sensitivity(backbone: nn.Module, losses: Iterable[Tensor]) -> dict[str, Tensor]:
    """Sum the squared gradients of batches, weight by weight.

    Args:
        backbone: A plain backbone, in training mode, in which everything trains.
        losses: Losses of batches, each computed when it is asked for.

    Returns:
        Scores shaped as the parameters, by name.

    Raises:
        ValueError: If there are no batches, or the gradients are not finite or
            all zero, as with a head of zeros.
    """
    names = {part.tensor for part in backbone_parts(backbone).values()}
    params = {name: param for name, param in backbone.named_parameters() if name in names}
    scores = {name: torch.zeros_like(param) for name, param in params.items()}
    count = 0
    for loss in losses:
        count += 1
        for score, grad in zip(scores.values(), torch.autograd.grad(loss, list(params.values()))):
            score += grad.square()
    total = sum(float(score.sum()) for score in scores.values())
    if not count or not 0 < total < float("inf"):
        raise ValueError(
            f"the gradients of {count} batches sum to {total}: SPT needs data, finite losses and a "
            "head whose weights are not zero"
        )
    return scores


@dataclass(frozen=True)
class Selection:
    """What SPT trains.

    Args:
        structured: Names of the matrices with a module of their own.
        vectors: Names of the vectors that train whole.
        indices: Positions of all single values that train in a parameter, those
            of the vectors included, ``(K,)``, int64, by its name.
        total: Number of parameters, the class token's included.
    """

    structured: tuple[str, ...]
    vectors: tuple[str, ...]
    indices: dict[str, Tensor]
    total: int


def module_size(structured: str, rows: int, columns: int, rank: int) -> int:
    """Parameters of a structured module: LoRA's factors, or an adapter on the output."""
    return rank * (rows + columns) if structured == "lora" else 2 * rank * rows + rank + rows


def select(
    scores: Mapping[str, Tensor],
    parts: Mapping[str, Part],
    budgets: Sequence[float],
    class_token: int,
    structured: str = "lora",
    rank: int = 8,
    alpha: float = 10.0,
    beta: float = 5.0,
    thresholds: Sequence[int] = THRESHOLDS,
) -> list[Selection]:
    """Choose for each budget what trains, as SPT's released code does.

    For every number of a grid the most sensitive weights are marked; a matrix
    with at least ``1 / alpha`` of its module's parameters marked gets the module, a
    vector with ``1 / beta`` of its values marked trains whole, all else trains
    its marked weights alone. Of the grid the total nearest to the budget counts.

    Args:
        scores: A result of :func:`sensitivity`.
        parts: Those of :func:`backbone_parts`.
        budgets: Wanted numbers of parameters, in millions; 0 trains the class
            token and the head alone.
        class_token: Number of its parameters.
        structured: ``'lora'`` or ``'adapter'``. Defaults to ``'lora'``.
        rank: Width ``r`` of the modules. Defaults to 8.
        alpha: Defaults to 10.
        beta: Defaults to 5.
        thresholds: Numbers of weights to mark. Defaults to 0.02 to 1.58 million.

    Returns:
        One selection a budget.

    Raises:
        ValueError: If a value is outside its range or a budget above the model.
    """
    check_choice("--structured", structured, STRUCTURED)
    check_integer("--rank", rank, "[1, inf)")
    check_number("--alpha", alpha, "(0, inf)")
    check_number("--beta", beta, "(0, inf)")
    names = list(parts)
    sizes = torch.tensor([part.size for part in parts.values()])
    most = int(sizes.sum()) / 1e6
    for budget in budgets:
        check_number("--budget", budget, f"[0, {most}]")
    flat = torch.cat(
        [scores[p.tensor][p.start : p.start + p.rows].flatten() for p in parts.values()]
    )
    ranked = flat.topk(min(max(thresholds), len(flat))).indices
    ends = sizes.cumsum(0)
    owner = torch.searchsorted(ends, ranked, right=True)  # of each marked weight
    modules = torch.tensor(
        [module_size(structured, p.rows, p.columns, rank) for p in parts.values()]
    )
    matrix = torch.tensor([part.matrix for part in parts.values()])

    def choose(tau: int) -> tuple[Tensor, Tensor, int]:
        marked = owner[:tau].bincount(minlength=len(names))
        modular = matrix & (marked >= modules / alpha)
        whole = ~matrix & (marked >= sizes / beta) & (marked > 0)
        single = marked[~modular & ~whole].sum()
        total = modules[modular].sum() + sizes[whole].sum() + single + class_token
        return modular, whole, int(total)

    grid = {tau: choose(tau) for tau in (0, *(tau for tau in thresholds if tau <= len(flat)))}
    found = []
    for budget in budgets:
        tau = min(grid, key=lambda tau: abs(grid[tau][2] - 1e6 * budget)) if budget else 0
        modular, whole, total = grid[tau]
        indices: dict[str, list[Tensor]] = {}
        for index, part in enumerate(parts.values()):
            begin = int(ends[index]) - part.size
            own = ranked[:tau][owner[:tau] == index] - begin
            if whole[index]:
                own = torch.arange(part.size)
            if len(own) and not modular[index]:
                indices.setdefault(part.tensor, []).append(own + part.start * part.columns)
        found.append(
            Selection(
                tuple(name for name, chosen in zip(names, modular) if chosen),
                tuple(name for name, chosen in zip(names, whole) if chosen),
                {name: torch.cat(each).sort().values for name, each in indices.items()},
                total,
            )
        )
    return found


def save_selection(file: str | Path, selection: Selection, **meta) -> None:
    """Write a selection to a ``.safetensors`` file, with facts such as ``base`` and ``shapes``."""
    facts = dict(structured_names=selection.structured, vectors=selection.vectors, **meta)
    save_safetensors(file, selection.indices, {**facts, "total": selection.total, "format": FORMAT})


def load_selection(file: str) -> tuple[Selection, dict]:
    """Read a file of :func:`save_selection`.

    Returns:
        The selection and the facts.

    Raises:
        ValueError: If there is no file, or it holds no selection.
    """
    try:
        loaded = CheckpointLoader.load_checkpoint(file, map_location="cpu", logger="silent")
    except FileNotFoundError:
        raise ValueError(
            f"backbone.selection={file!r} is not there: tools/analysis_tools/sensitivity.py writes "
            "it, and models and adapter files of mmdyt.SPTViT need it where they are built"
        ) from None
    meta = loaded.get("meta", {})
    if meta.get("format") != FORMAT:
        raise ValueError(
            f"backbone.selection={file!r} is no file of tools/analysis_tools/sensitivity.py"
        )
    names = tuple(meta["structured_names"]), tuple(meta["vectors"])
    return Selection(*names, dict(loaded["state_dict"]), meta["total"]), meta
