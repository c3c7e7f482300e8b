"""SPT: train the weights that a task is sensitive to."""

from __future__ import annotations

from torch import nn

from mmdyt.checks import check_integer, check_number
from mmdyt.models.backbones.dyt_vit import DyTViT
from mmdyt.models.layers.sparse_delta import (
    LowRank,
    OutputAdapter,
    SparseDelta,
    SPTLayerNorm,
    SPTLinear,
)
from mmdyt.models.utils.frozen_base import unlike
from mmdyt.models.utils.sensitivity import backbone_parts, load_selection
from mmdyt.registry import MODELS

MODULES = {"lora": LowRank, "adapter": OutputAdapter}


@MODELS.register_module()
class SPTViT(DyTViT):
    """``DyTViT`` that trains what ``tools/analysis_tools/sensitivity.py`` selected.

    SPT (He et al., ICCV 2023, arXiv 2303.08566), of which this is the plain form
    with ``dispatch=None, adapter=None``. As in the released code: matrices with
    many sensitive weights get LoRA beside them, or an adapter behind; vectors
    with many train whole; of all else single weights train, as deltas that start
    at zero; the class token trains. Ours: norms train where they are selected,
    which the release counts but leaves frozen, and the sparse gradient is
    gathered. A freshly built model equals its frozen backbone.
    :func:`mmdyt.models.utils.merged` folds everything but adapters.

    Args:
        *args: As ``DyTViT``.
        selection (str): The selection's file. Required.
        rank (int): Width of LoRA and adapters, that of the selection. Defaults to 8.
        spt_drop_rate (float): Dropout before LoRA. Defaults to 0.1.
        spt_drop_path_rate (float): Stochastic depth of LoRA and adapters. Defaults
            to 0.1.
        **kwargs: As ``DyTViT``.

    Raises:
        ValueError: If the file is missing, no selection, of another architecture
            or rank, or on :meth:`init_weights` of other base weights.
    """

    tuned_parameters = ("cls_token",)

    def __init__(
        self,
        *args,
        selection: str | None = None,
        rank: int = 8,
        spt_drop_rate: float = 0.1,
        spt_drop_path_rate: float = 0.1,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        check_integer("backbone.rank", rank, "[1, inf)")
        check_number("backbone.spt_drop_rate", spt_drop_rate, "[0, 1)")
        check_number("backbone.spt_drop_path_rate", spt_drop_path_rate, "[0, 1)")
        if selection is None:
            raise ValueError(
                "backbone.selection is missing: tools/analysis_tools/sensitivity.py writes one"
            )
        self.selection = selection
        chosen, meta = load_selection(selection)
        parts = backbone_parts(self)
        params = dict(self.named_parameters())
        shapes = {part.tensor: list(params[part.tensor].shape) for part in parts.values()}
        if meta["shapes"] != shapes:
            raise ValueError(f"backbone.selection={selection!r} is of another architecture")
        if meta["rank"] != rank:
            raise ValueError(f"backbone.rank={rank}, and {selection!r} counts on {meta['rank']}")
        self._base = meta.get("base")
        for name, index in chosen.indices.items():
            path, _, kind = name.rpartition(".")
            _made_ready(self.get_submodule(path))[kind] = SparseDelta(index)
        for name in chosen.structured:
            part = parts[name]
            linear = self.get_submodule(part.tensor.removesuffix(".weight"))
            rows = part.start, part.start + part.rows
            drops = spt_drop_rate, spt_drop_path_rate
            module = MODULES[meta["structured"]](part.columns, rows, rank, *drops)
            _made_ready(linear)[f"rows_{part.start}"] = module

    def init_weights(self) -> None:
        """Initialise, and refuse another base than that of the selection.

        Raises:
            ValueError: If pre-trained weights were loaded that differ.
        """
        super().init_weights()
        if self._base is None or not self.is_filled:
            return
        names = set(self._base["sketch"])
        tensors = {name: param for name, param in self.named_parameters() if name in names}
        if wrong := unlike(self._base, tensors):
            raise ValueError(
                f"backbone.selection={self.selection!r} was made on other weights than "
                f"backbone.init_cfg loads: {len(wrong)} tensors differ, first {wrong[0]}"
            )


def _made_ready(module: nn.Module) -> nn.ModuleDict:
    if not hasattr(module, "spt"):
        linear = isinstance(module, nn.Linear)
        module.__class__ = SPTLinear if linear else SPTLayerNorm  # type: ignore[assignment]
        module.spt = nn.ModuleDict()
    parts = module.spt
    assert isinstance(parts, nn.ModuleDict)
    return parts
