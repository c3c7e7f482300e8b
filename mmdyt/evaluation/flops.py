"""The cost account: what a model with token dispatch computed, image by image.

One count of the whole model with every token computed, less what each
dispatcher saved according to its :class:`~mmdyt.structures.DispatchRecord`.
There is no second model and no assumption on which tokens are active: only
their number per image enters, as the cost depends on nothing else. Where
attention among the active tokens ran at the full length, as on GPUs and in
compiled graphs, its products are charged so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from mmdyt.evaluation.branch_cost import BranchCost, branch_cost
from mmdyt.evaluation.full_pass import FullPass, count_full_pass
from mmdyt.models.layers import DispatchedLayer
from mmdyt.structures import DispatchRecord

Key = tuple[str, str]  # dotted name of the layer, branch


class CostAccount:
    """FLOPs of a model, by sample, from what its dispatchers decided.

    A *sample* is one entry of the model's input batch: an image, a video clip
    whose frames the backbone takes as so many images, or one window of slide
    inference. Multiply-adds count once and a LayerNorm five operations an
    element, as in the paper's figures (ViT-B/16: 17.58 G).

    The first call at an input shape traces the model once, with one sample;
    further calls add a few numbers per record and do not synchronise a GPU.

    Example::

        account = CostAccount(model)
        with collect_dispatch(model) as records:
            model(inputs)
        account.flops(records, inputs).mean()

    Args:
        model: A backbone or a model of mmpretrain, mmsegmentation or
            mmaction2, without a parallel wrapper. It must not gain or lose
            layers afterwards.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self._layers = {
            name: m for name, m in model.named_modules() if isinstance(m, DispatchedLayer)
        }
        self._costs: dict[Key, BranchCost] = {}
        self._passes: dict[tuple, FullPass] = {}

    def complete(self, inputs: Tensor) -> FullPass:
        """Count the complete model: adapters, but no dispatchers, every token.

        Args:
            inputs: A preprocessed batch as the model's ``forward`` takes it,
                ``(B, ...)``; only its first sample is used.

        Returns:
            The count of one sample. It is kept and given again for inputs of
            the same shape.
        """
        return self._full_pass(inputs, "complete")

    def dense_flops(self, inputs: Tensor) -> float:
        """FLOPs of one sample in the complete model, as :meth:`complete`."""
        return self.complete(inputs).flops

    def flops(
        self, records: Iterable[DispatchRecord], inputs: Tensor, padding: bool = True
    ) -> Tensor:
        """FLOPs of what inference computes for these decisions, dispatchers included.

        Masked passes and training compute every token, which their records do
        not change: they are charged as the inference that decides so.

        Args:
            records: Everything that :func:`mmdyt.models.utils.collect_dispatch`
                received in one or several forward passes on samples of one
                shape.
            inputs: Samples of that shape, ``(B, ...)``, on the model's device.
                With slide inference, of the shape of one window.
            padding: Whether attention that ran at the full length is charged
                so, or as if it had run among the active tokens alone. Defaults
                to ``True``, what was executed.

        Returns:
            FLOPs by sample, in the order of the passes and within them of the
            batch: ``(S,)``, float64. Of a model without dispatchers, ``(B,)``.

        Raises:
            ValueError: If the records do not belong to this model and shape.
        """
        # Masked execution costs the same whatever the mask, and unlike the
        # complete mode it runs the dispatchers.
        full = self._full_pass(inputs, "masked")
        expected, given = _by_dispatcher(full.records), _by_dispatcher(records)
        if expected.keys() != given.keys():
            raise ValueError(
                f"the model dispatches at {sorted(expected)}, the records are of "
                f"{sorted(given)}; run the model inside collect_dispatch(model)"
            )
        if not given:
            return torch.full((len(inputs),), full.flops, dtype=torch.float64)

        saved: list[Tensor] = []
        for key, group in given.items():
            num_tokens = expected[key][0].mask.shape[1]
            for record in group:
                if record.mask.shape[1] != num_tokens:
                    raise ValueError(
                        f"records of {record.mask.shape[1]} tokens do not belong to inputs of "
                        f"shape {tuple(inputs.shape)}, which gives {num_tokens}"
                    )
            per_image = torch.cat([self.saved(record, padding) for record in group])  # (S * T,)
            images_per_sample = sum(len(record.mask) for record in expected[key])
            saved.append(per_image.reshape(-1, images_per_sample).sum(dim=1))  # (S, T) -> (S,)
        return full.flops - torch.stack(saved).sum(dim=0).double()  # (D, S) -> (S,)

    def flops_at_rate(self, inputs: Tensor, rate: float) -> float:
        """FLOPs of one sample where every dispatcher keeps the same share, as on a CPU.

        Args:
            inputs: As :meth:`complete`.
            rate: Share of active tokens in [0, 1]; of each image
                ``round(rate * tokens)`` are active beside the prefix tokens.

        Returns:
            FLOPs of one sample, dispatchers included.

        Raises:
            ValueError: If ``rate`` is outside [0, 1].
        """
        if not 0 <= rate <= 1:
            raise ValueError(f"an activation rate is in [0, 1], got {rate}")
        full = self._full_pass(inputs, "masked")
        saved = 0
        for record in full.records:
            num_images, num_tokens = record.mask.shape
            active = record.num_prefix + round(rate * (num_tokens - record.num_prefix))
            cost = self._cost((record.module, record.branch))
            saved += num_images * (cost(num_tokens) - cost(active))
        return full.flops - saved

    def saved(self, record: DispatchRecord, padding: bool = True) -> Tensor:
        """FLOPs that one dispatcher spared each image.

        Args:
            record: Its decision, with a mask of shape ``(B, N)``.
            padding: As :meth:`flops`. Defaults to ``True``.

        Returns:
            ``cost(N) - cost(n_b)`` for ``n_b`` active tokens: ``(B,)``, int64.
        """
        cost = self._cost((record.module, record.branch))
        num_tokens, active = record.mask.shape[1], record.num_active()
        saved = cost(num_tokens) - cost(active)
        if padding and record.padded:
            # A branch without any active token in the whole batch does not run.
            idle_pairs = (num_tokens**2 - active**2) * (active.sum() > 0)
            saved = saved - cost.per_pair * idle_pairs
        return saved

    def _cost(self, key: Key) -> BranchCost:
        if key not in self._costs:
            module, branch = key
            self._costs[key] = branch_cost(self._layers[module], branch)
        return self._costs[key]

    def _full_pass(self, inputs: Tensor, mode: str) -> FullPass:
        key = (mode, tuple(inputs.shape[1:]))
        if key not in self._passes:
            self._passes[key] = count_full_pass(self.model, inputs[:1], mode)
        return self._passes[key]


def _by_dispatcher(records: Iterable[DispatchRecord]) -> dict[Key, list[DispatchRecord]]:
    groups: dict[Key, list[DispatchRecord]] = defaultdict(list)
    for record in records:
        groups[record.module, record.branch].append(record)
    return dict(groups)
