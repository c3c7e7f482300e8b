"""What a finished run left in its work dir."""

from __future__ import annotations

from pathlib import Path


def saved_config(work_dir: str | Path) -> Path:
    """Find the config that a run was started with, as it lies in its work dir.

    Args:
        work_dir: Work dir of a run.

    Returns:
        The newest ``*.py`` directly in it: every run writes its complete config there.

    Raises:
        FileNotFoundError: If there is none.
    """
    configs = sorted(Path(work_dir).glob("*.py"), key=lambda path: path.stat().st_mtime)
    if not configs:
        raise FileNotFoundError(f"{work_dir} is no work dir of a run: it holds no config (*.py)")
    return configs[-1]
