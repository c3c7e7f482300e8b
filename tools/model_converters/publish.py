"""Turn a training checkpoint into a small file to ship: weights and their story.

The result is a safetensors file whose meta data hold the config, the command,
the seed and the measured metrics. ``init_cfg=dict(type='Pretrained')`` loads it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from mmengine.runner.checkpoint import CheckpointLoader

from mmdyt.engine.cli import require_writable, tool
from mmdyt.engine.run_checks import require_checkpoint
from mmdyt.fileio import CONFIG_META, save_safetensors


def publish(checkpoint: Path, target: Path, metrics: dict, command: str) -> None:
    """Write the shipped file.

    Args:
        checkpoint: A checkpoint of mmengine's ``CheckpointHook``.
        target: A ``.safetensors`` file, written atomically.
        metrics: What testing this checkpoint gave.
        command: The command that makes the file again.
    """
    loaded = CheckpointLoader.load_checkpoint(str(checkpoint), map_location="cpu")
    kept = {name: loaded["meta"][name] for name in ("cfg", "seed", "epoch", "iter")}
    kept |= dict(metrics=metrics, command=command)
    own = getattr(loaded["state_dict"], "_metadata", {}).get("", {})
    kept |= {CONFIG_META: own[CONFIG_META]} if CONFIG_META in own else {}
    save_safetensors(target, loaded["state_dict"], kept)


@tool
def main() -> None:
    """Read the command line and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="an epoch_*.pth")
    parser.add_argument("target", type=Path, help="the .safetensors file to write")
    parser.add_argument("--metrics", type=Path, required=True, help="tools/test.py --out of it")
    parser.add_argument("--command", required=True, help="the command that makes the file again")
    args = parser.parse_args()
    require_writable(args.target, "target", (".safetensors",))
    require_checkpoint(str(args.checkpoint), "checkpoint")
    try:
        metrics = json.loads(args.metrics.read_text())
    except ValueError as error:
        raise ValueError(f"--metrics {args.metrics} is no JSON file: {error}") from error
    publish(args.checkpoint, args.target, metrics, args.command)


if __name__ == "__main__":
    main()
