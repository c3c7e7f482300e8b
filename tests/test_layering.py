"""Dependencies inside mmdyt point downward only, and core code needs no task library."""

import ast
from pathlib import Path

from tests.conftest import REPO

# Each may import itself and what stands before it.
LAYERS = [
    {"mmdyt", "mmdyt.compat", "mmdyt.package_files"},  # repairs come before anything is imported
    {
        "mmdyt.checks",
        "mmdyt.fileio",
        "mmdyt.ops",
        "mmdyt.registry",
        "mmdyt.structures",
        "mmdyt.weights_only",
    },
    {"mmdyt.models"},
    {"mmdyt.evaluation", "mmdyt.datasets", "mmdyt.visualization"},
    {"mmdyt.engine"},
    {"mmdyt.integrations"},
    {"mmdyt.converters"},
]
FILES = sorted((REPO / "mmdyt").rglob("*.py"))


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
    return found


def level(module: str) -> int:
    package = ".".join(module.split(".")[:2])
    return next(index for index, names in enumerate(LAYERS) if package in names)


def module_name(path: Path) -> str:
    parts = path.relative_to(REPO).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def test_imports_point_downward(subtests):
    for path in FILES:
        with subtests.test(module_name(path)):
            check_imports(path)


def check_imports(path: Path) -> None:
    own = module_name(path)
    for name in imports(path):
        if name.split(".")[0] == "mmdyt":
            assert level(name) <= level(own), f"{own} imports {name}"
        assert name.split(".")[0] not in ("tools", "projects", "tests"), f"{own} imports {name}"
        if name.split(".")[0] in ("mmseg", "mmaction", "mmdet"):
            assert own.startswith("mmdyt.integrations."), f"{own} imports {name}"
    if own.startswith(("mmdyt.ops", "mmdyt.structures")):
        libraries = {name.split(".")[0] for name in imports(path)}
        assert not {name for name in libraries if name.startswith("mm") and name != "mmdyt"}


def test_the_core_imports_no_task_library():
    import subprocess
    import sys

    script = (
        "import sys; from mmdyt.registry import MODELS; MODELS.get('mmdyt.DyTViT');"
        "assert 'mmpretrain' in sys.modules;"
        "assert not {'mmseg', 'mmaction'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=REPO, check=True)
