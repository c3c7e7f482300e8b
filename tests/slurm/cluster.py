"""A real Slurm of one node, on ports and in folders of its own.

``python -m tests.slurm.cluster`` starts one, prints how to use it, and stops it
again with Ctrl-C. Needs root and the packages slurm-wlm and munge.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol")
CONF = """
ClusterName=test
SlurmctldHost={name}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
AuthType=auth/munge
# A requeued job waits until its credential has run out (5 s is the least).
AuthInfo=socket={root}/munge/socket,cred_expire=5
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd.pid
SlurmctldLogFile={root}/slurmctld.log
SlurmdLogFile={root}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
KillWait=5
NodeName={name} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=main Nodes={name} Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str | None:
    """What this machine lacks to start a cluster, or ``None``."""
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    if lacking:
        return f"no {', '.join(lacking)}: apt-get install slurm-wlm munge"
    return "not root: slurmd starts jobs for others" if os.geteuid() else None


@contextmanager
def cluster() -> Iterator[dict[str, str]]:
    """Run a cluster.

    Yields:
        The environment in which ``sbatch`` and its like find it.

    Raises:
        RuntimeError: If its node does not come up within a minute.
    """
    root = Path(tempfile.mkdtemp(prefix="slurm-"))
    root.chmod(0o755)
    for name in ("munge", "state", "spool"):
        (root / name).mkdir()
    conf = root / "slurm.conf"
    conf.write_text(CONF.format(name=socket.gethostname(), root=root, ports=_free_ports(2)))
    env = {**os.environ, "SLURM_CONF": str(conf)}
    munged = _start_munge(root / "munge")
    try:
        subprocess.run(["slurmctld", "-f", str(conf)], check=True, env=env)
        subprocess.run(["slurmd", "-f", str(conf), "-N", socket.gethostname()], check=True, env=env)
        _wait_for_node(env, root)
        yield env
    finally:
        subprocess.run(["scancel", "--user=root"], env=env, check=False, capture_output=True)
        for name in ("slurmd", "slurmctld"):
            _end(root / f"{name}.pid")
        munged.terminate()
        munged.wait()
        shutil.rmtree(root, ignore_errors=True)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _start_munge(folder: Path) -> subprocess.Popen:
    key = folder / "key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    for path in (folder, key):
        shutil.chown(path, "munge", "munge")
    options = [f"--{kind}-file={folder / kind}" for kind in ("key", "pid", "log", "seed")]
    command = ["munged", "--foreground", f"--socket={folder / 'socket'}", *options]
    process = subprocess.Popen(["runuser", "-u", "munge", "--", *command])
    while not (folder / "socket").exists():
        if process.poll() is not None:
            raise RuntimeError(f"munged ended: {(folder / 'log').read_text()}")
        time.sleep(0.1)
    return process


def _wait_for_node(env: dict[str, str], root: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        state = subprocess.run(
            ["sinfo", "--noheader", "--format=%T"], env=env, capture_output=True, text=True
        )
        if state.stdout.strip() == "idle":
            return
        time.sleep(0.5)
    raise RuntimeError(f"the node is {state.stdout!r}: {(root / 'slurmd.log').read_text()[-2000:]}")


def _end(pid_file: Path) -> None:
    with suppress(FileNotFoundError, ProcessLookupError):
        pid = int(pid_file.read_text())
        os.kill(pid, signal.SIGTERM)
        while Path(f"/proc/{pid}").exists():
            time.sleep(0.1)


if __name__ == "__main__":
    if reason := missing():
        raise SystemExit(reason)
    with cluster() as environment, suppress(KeyboardInterrupt):
        print(f"export SLURM_CONF={environment['SLURM_CONF']}\nCtrl-C stops it.", flush=True)
        signal.pause()
