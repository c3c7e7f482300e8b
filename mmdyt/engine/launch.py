"""Make a config fit the machine it starts on, before a runner is built."""

from __future__ import annotations

import os
import subprocess

import torch
import torch.distributed as torch_dist
from mmengine.config import Config

# The variable that tells of a launcher, and what sets it.
STARTED_BY = {
    "pytorch": ("RANK", "tools/dist_train.sh, tools/dist_test.sh or torchrun"),
    "slurm": ("SLURM_PROCID", "tools/slurm_train.sh, tools/slurm_test.sh or srun"),
}


def require_amp_device(cfg: Config) -> None:
    """Refuse mixed precision where mmengine cannot run it.

    Raises:
        ValueError: If the optimiser wrapper is an ``AmpOptimWrapper`` and no
            GPU is there.
    """
    wrapper = cfg.get("optim_wrapper") or {}
    if wrapper.get("type") == "AmpOptimWrapper" and not torch.cuda.is_available():
        raise ValueError(
            "--amp (optim_wrapper.type='AmpOptimWrapper') needs a GPU, and none is visible here: "
            "leave it out to train in float32 on the CPU, and set "
            "optim_wrapper.type='mmdyt.Bfloat16OptimWrapper' for bfloat16"
        )


def join_cpu_processes(cfg: Config) -> None:
    """Check the launcher, and let ``pytorch`` and ``slurm`` work without a GPU.

    mmengine binds each process to a CUDA device. Where there is none, the
    group is joined here, with gloo, and the data parallel wrapper is set to
    use no device. With a GPU, or without a launcher, this does nothing.

    Args:
        cfg: The config, whose ``launcher`` is set. ``model_wrapper_cfg`` is
            added to it.

    Raises:
        ValueError: If the launcher did not start this process, or is ``mpi``
            on a machine without GPUs.
    """
    launcher = cfg.get("launcher", "none")
    variable, command = STARTED_BY.get(launcher, ("", ""))
    if variable and variable not in os.environ:
        raise ValueError(
            f"--launcher {launcher}, but {variable} is not set: start it with {command}, or leave "
            f"--launcher out"
        )
    if launcher == "none" or torch.cuda.is_available():
        return
    if launcher == "mpi":
        raise ValueError("--launcher mpi needs GPUs; on CPUs choose pytorch or slurm")
    if launcher == "slurm":
        _read_slurm_environment()
    torch_dist.init_process_group("gloo")
    wrapper = dict(type="MMDistributedDataParallel", device_ids=None, broadcast_buffers=False)
    wrapper["find_unused_parameters"] = cfg.get("find_unused_parameters", False)
    cfg.setdefault("model_wrapper_cfg", wrapper)


def _read_slurm_environment() -> None:
    """Translate Slurm's variables into those of ``torch.distributed``."""
    slurm = os.environ
    for target, source in (
        ("RANK", "SLURM_PROCID"),
        ("WORLD_SIZE", "SLURM_NTASKS"),
        ("LOCAL_RANK", "SLURM_LOCALID"),
    ):
        os.environ[target] = slurm[source]
    if "MASTER_ADDR" not in os.environ:
        command = ["scontrol", "show", "hostname", slurm["SLURM_NODELIST"]]
        hosts = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        os.environ["MASTER_ADDR"] = hosts[0]
    # Jobs of one node must not meet at one port.
    os.environ.setdefault("MASTER_PORT", str(20000 + int(slurm.get("SLURM_JOB_ID", 0)) % 20000))
