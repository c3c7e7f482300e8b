"""What mmengine keeps in a process when a runner has ended."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import torch
from mmengine.logging import MMLogger
from mmengine.utils import ManagerMixin
from mmengine.visualization import Visualizer


def forget_runners() -> None:
    """Close and drop what mmengine keeps of every runner of this process.

    Loggers and visualisers hold files open; a visualiser with a fixed name
    would even write the next run's curves into the folder of the first. Flags
    that ``randomness`` sets for the whole process go back to their defaults.
    """
    for manager in _subclasses(ManagerMixin):
        instances = manager._instance_dict  # type: ignore[attr-defined]
        for instance in instances.values():
            if isinstance(instance, MMLogger):
                for handler in instance.handlers:
                    handler.close()
            elif isinstance(instance, Visualizer):
                instance.close()
        instances.clear()
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.deterministic = torch.backends.cudnn.benchmark = False
    gc.collect()
    torch.cuda.empty_cache()


def _subclasses(kind: type) -> Iterator[type]:
    yield kind
    child: type
    for child in kind.__subclasses__():
        yield from _subclasses(child)
