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
mim train mmdyt vit-mini_dyt_digits.py --work-dir run --cfg-options train_cfg.max_epochs=1 \
    log_level=WARNING

"$FRESH" - "$SOURCE" << 'END'
import sys
from pathlib import Path

import mmdyt
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

assert Path(sys.argv[1]) not in Path(mmdyt.__file__).parents, mmdyt.__file__
assert mmdyt.load_adapter("run/adapter.safetensors").head.num_classes == 10
Path("own.py").write_text('_base_ = "mmdyt::image/digits/vit-mini_linear_digits.py"')
cfg = Config.fromfile("own.py")
init_default_scope(cfg.default_scope)
MODELS.build(cfg.model).init_weights()
print(f"{mmdyt.__file__} trains from another folder")
END
