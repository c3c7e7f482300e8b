"""The mark of what tuning adds to a backbone."""

from __future__ import annotations

from torch import nn


class TunedModule(nn.Module):
    """Marker: everything inside trains with ``model.tuning='peft'``.

    A module that a tuning method puts anywhere into a frozen backbone inherits
    it, directly or beside another base, so that nothing new stays frozen
    unnoticed. Its parameters and buffers may be missing in a pre-trained file.
    Adapters and dispatchers of :class:`~mmdyt.models.layers.DispatchedLayer`
    need no mark. Parameters of the pre-trained backbone that a method trains
    too are named in the class attribute ``tuned_parameters`` of the module that
    owns them.
    """
