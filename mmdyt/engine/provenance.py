"""What a result depends on besides its config: versions and hardware."""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from pathlib import Path

import mmcv
import mmengine
import mmpretrain
import torch

import mmdyt


@cache
def versions() -> dict[str, str | None]:
    """Versions of what a result depends on, and the commit of this checkout."""
    git = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    found = subprocess.run(
        git, cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    return dict(
        python=platform.python_version(),
        torch=torch.__version__,
        mmengine=mmengine.__version__,
        mmcv=mmcv.__version__,
        mmpretrain=mmpretrain.__version__,
        mmdyt=mmdyt.__version__,
        commit=found.stdout.strip() or None,
    )


def host() -> dict[str, str | int | None]:
    """Name the hardware, the number of torch's threads, and the processes of a run."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return dict(
        cpu=models[0] if models else platform.processor(),
        gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        threads=torch.get_num_threads(),
        processes=mmengine.dist.get_world_size(),
    )
