#!/usr/bin/env bash
# Usage: tests/dist_test.sh PYTHON
# Builds the sdist and, from it, the wheel; installs the wheel with the stack into a fresh
# environment; trains the first epoch of the digits demo there, from another folder.
set -euo pipefail
cd "$(dirname "$0")/.."

SOURCE=$PWD
PYTHON=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
FRESH=$WORK/venv/bin/python

if "$PYTHON" -m uv --version; then
    "$PYTHON" -m uv build --quiet --out-dir "$WORK/dist"
    "$PYTHON" -m uv venv --quiet --python "$PYTHON" "$WORK/venv"
    install=("$PYTHON" -m uv pip install --quiet --python "$FRESH")
else
    "$PYTHON" -m pip install --quiet build
    "$PYTHON" -m build --outdir "$WORK/dist"
    "$PYTHON" -m venv "$WORK/venv"
    install=("$FRESH" -m pip install --quiet)
fi
"${install[@]}" "$(echo "$WORK"/dist/*.whl)[mm]" -r requirements/mim.txt

cd "$WORK"
export PATH=$WORK/venv/bin:$PATH
unset PYTHONPATH
mim run mmdyt digits
mim train mmdyt vit-mini_dyt_digits.py --work-dir by_mim --cfg-options train_cfg.max_epochs=1

# A config of one's own, over ours.
echo '_base_ = "mmdyt::image/digits/vit-mini_linear_digits.py"' > own.py
mim train mmdyt own.py --work-dir by_base --cfg-options train_cfg.max_epochs=1
"$FRESH" - "$SOURCE" << 'END'
import sys
from pathlib import Path

import mmdyt

assert Path(sys.argv[1]) not in Path(mmdyt.__file__).parents, mmdyt.__file__
assert mmdyt.load_adapter("by_mim/adapter.safetensors").head.num_classes == 10
assert Path("by_base/epoch_1.pth").is_file()
print(f"{mmdyt.__file__} trains from another folder")
END
