"""Let mmaction2 1.2.0 import on the stacks we test, whatever its packaging says.

Two defects of that release are healed in memory, nothing is written anywhere:
its ``__init__`` asserts ``mmcv < 2.2.0``, and its wheel lacks
``mmaction.models.localizers.drn``. An install without them is left alone, and so
is any version that was not tested. ``MMDYT_NO_COMPAT=1`` switches this off.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import warnings
from collections.abc import Sequence
from importlib import metadata
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from multiprocessing import parent_process
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

OPT_OUT = "MMDYT_NO_COMPAT"
TESTED_MMACTION = "1.2.0"
TESTED_MMCV = "2.3."  # refused by mmaction's assertion, works
SHOWN_MMCV = "2.1.0"  # what mmaction's assertion sees instead
DRN = "mmaction.models.localizers.drn"


class _DRN(nn.Module):
    """Say what is missing when a config really wants ``DRN``."""

    def __init__(self, *args, **kwargs) -> None:
        raise ImportError(
            f"type='DRN' needs {DRN}, which the wheel of mmaction2 {TESTED_MMACTION} lacks; "
            f"install mmaction2 from its source repository (git clone, then pip install -e .)"
        )


class _MissingDRN(MetaPathFinder, Loader):
    """Stand in for the package that the wheel forgot.

    It is asked after all other finders, so that a real package wins.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Claim ``drn`` and ``drn.drn`` only."""
        if fullname not in (DRN, f"{DRN}.drn"):
            return None
        return ModuleSpec(fullname, self, is_package=fullname == DRN)

    def exec_module(self, module: ModuleType) -> None:
        """Register a ``DRN`` that cannot be built."""
        if module.__name__ == DRN:
            return

        module.__dict__["DRN"] = _DRN
        importlib.import_module("mmaction.registry").MODELS.register_module("DRN", module=_DRN)


def heal_mmaction() -> bool:
    """Make ``import mmaction`` work where one of the two known defects forbids it.

    Call it before anything imports mmaction; ``mmdyt.integrations.mmaction``
    does. It may be called again and again. Says once, in the main process, what
    it healed.

    Returns:
        Whether this process runs healed.
    """
    try:
        version = metadata.version("mmaction2")
    except metadata.PackageNotFoundError:
        return False
    if os.environ.get(OPT_OUT) or version != TESTED_MMACTION:
        return False
    if any(isinstance(finder, _MissingDRN) for finder in sys.meta_path):
        return True
    refused = _import_past_assertion()
    lacking = _lacks_drn()
    if not refused and not lacking:
        return False
    sys.meta_path.append(_MissingDRN())
    if parent_process() is None:
        mmcv_version = importlib.import_module("mmcv").__version__
        warnings.warn(
            f"mmaction2 {version} does not import with mmcv {mmcv_version} as installed "
            f"(it {'refuses this mmcv' if refused else 'accepts this mmcv'}, its localizers.drn is "
            f"{'missing' if lacking else 'there'}); mmdyt healed this in memory. "
            f"{OPT_OUT}=1 switches that off.",
            stacklevel=2,
        )
    return True


def _import_past_assertion() -> bool:
    """Import mmaction while it sees an mmcv version that it accepts, if it must."""
    mmcv: Any = importlib.import_module("mmcv")
    real = mmcv.__version__
    if "mmaction" in sys.modules or not real.startswith(TESTED_MMCV):
        return False
    try:
        mmcv.__version__ = SHOWN_MMCV
        importlib.import_module("mmaction")
    finally:
        mmcv.__version__ = real
    return True


def _lacks_drn() -> bool:
    """Look for the files of the package, without importing what stands above it."""
    spec = importlib.util.find_spec("mmaction")
    folders = (spec.submodule_search_locations if spec else None) or []
    return not any((Path(folder) / "models/localizers/drn").is_dir() for folder in folders)
