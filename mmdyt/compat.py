"""Let mmaction2 and mmdetection run on the stacks we test, whatever their packaging says.

Defects are healed in memory, nothing is written anywhere, and an install without
them is left alone. ``MMDYT_NO_COMPAT=1`` switches all of it off.

- mmaction2 1.2.0: its ``__init__`` asserts ``mmcv < 2.2.0``, and its wheel lacks
  ``mmaction.models.localizers.drn``. Other versions are left alone.
- mmdetection needs mmcv's compiled operators, which an mmcv installed from a
  package index lacks: torchvision has what the usual detectors call.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import metadata
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from multiprocessing import parent_process
from pathlib import Path
from types import ModuleType
from typing import Any

OPT_OUT = "MMDYT_NO_COMPAT"
TESTED_MMACTION = "1.2.0"
TESTED_MMCV = "2.3."  # refused by mmaction's assertion, works
SHOWN_MMCV = "2.1.0"  # what mmaction's assertion sees instead
DRN = "mmaction.models.localizers.drn"
MMCV_OPS = "mmcv._ext"
COMPILE_OPS = (
    "pip install --no-build-isolation --no-deps --no-cache-dir --force-reinstall onedl-mmcv "
    "(with a C++ compiler, and FORCE_CUDA=1 for GPUs)"
)


class _DRN:
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


class _TorchvisionOps(MetaPathFinder, Loader):
    """Stand in for mmcv's compiled module.

    It is asked after all other finders, so that a compiled module wins.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Claim mmcv's compiled module only."""
        return ModuleSpec(fullname, self) if fullname == MMCV_OPS else None

    def exec_module(self, module: ModuleType) -> None:
        """Fill the module with torchvision's operators; all others raise when called."""
        ops = importlib.import_module("mmdyt.ops.detection_ops")
        module.__dict__.update({name: getattr(ops, name) for name in ops.__all__})
        module.__dict__["__getattr__"] = _uncompiled
        if parent_process() is None:
            warnings.warn(
                f"mmcv {importlib.import_module('mmcv').__version__} was installed without "
                f"compiled operators; mmdyt serves nms, roi_align and sigmoid_focal_loss from "
                f"torchvision. {OPT_OUT}=1 switches that off.",
                stacklevel=2,
            )


def _uncompiled(name: str) -> Callable:
    if name.startswith("__"):  # the import system looks for its own attributes
        raise AttributeError(name)

    def operator(*args, **kwargs):
        raise NotImplementedError(
            f"{name} is one of mmcv's compiled operators, which this install lacks; to have it: "
            f"{COMPILE_OPS}"
        )

    return operator


def heal_mmcv_ops() -> bool:
    """Serve mmcv's operators of detection where no compiled ones are installed.

    ``import mmdyt`` does it where mmdetection is installed: mmpretrain imports
    mmdetection, which looks for the operators only once. It may be called again
    and again. What is served: :mod:`mmdyt.ops.detection_ops`.

    Returns:
        Whether it was not switched off.
    """
    if os.environ.get(OPT_OUT):
        return False
    if not any(isinstance(finder, _TorchvisionOps) for finder in sys.meta_path):
        sys.meta_path.append(_TorchvisionOps())
    return True
