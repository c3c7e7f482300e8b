"""The pages of docs/ say what is true: their code runs, and what they name exists."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import nbformat
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmpretrain.models.backbones import VisionTransformer
from nbclient import NotebookClient
from PIL import Image

from mmdyt import registry
from mmdyt.models import BottleneckAdapter, CompleteModelMixin, DyTObjective, DyTViT
from mmdyt.models.utils import trainable_names
from tests.conftest import HAS_MMDET, PROJECTS, REPO, TINY_ARCH, build
from tests.test_models.helpers import (
    both_executions,
    complete_and_plain,
    spread_dispatch,
    train_step,
)

DOCS = REPO / "docs"
PAGES = [
    *sorted([*DOCS.rglob("*.md"), *PROJECTS.rglob("*.md")]),
    REPO / "README.md",
    REPO / "CONTRIBUTING.md",
]


def blocks(page: str, language: str = "python") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(), re.DOTALL | re.M)


@pytest.fixture(scope="module")
def extending() -> dict:
    """What the code of ``extending.md`` defines, run once: registering twice is an error."""
    namespace: dict = {}
    for block in blocks("extending.md"):
        exec(compile(block, "extending.md", "exec"), namespace)
    return namespace


def test_own_adapter_and_dispatcher_train_and_skip(extending):
    model = build(extending["model"])
    own = [name for name in trainable_names(model) if not name.startswith("head.")]
    assert len(own) == 2 * 12 and all(".adapter." in n or ".dispatcher." in n for n in own)
    losses = train_step(model, torch.randn(2, 3, 224, 224))
    assert 0 < losses["activation_rate"] < 1 and losses["rate_loss"] >= 0
    skipped, masked = both_executions(model.backbone, torch.randn(1, 3, 224, 224))
    torch.testing.assert_close(skipped, masked, atol=1e-4, rtol=1e-4)


def test_own_backbone_keeps_the_three_properties(extending):
    assert extending["DyTDeiT3"].__name__ == "DyTDeiT3"
    tiny = dict(arch=TINY_ARCH, img_size=28, patch_size=4)
    backbone = dict(type="mmdyt.DyTDeiT3", **tiny)
    own, plain = build(backbone), build(dict(type="mmpretrain.DeiT3", **tiny))
    complete, expected, keys = complete_and_plain(own, plain, torch.randn(2, 3, 28, 28))
    torch.testing.assert_close(complete, expected, atol=1e-4, rtol=1e-4)
    assert all(".adapter." in key or ".dispatcher." in key for key in keys.missing_keys)
    spread_dispatch(own)
    skipped, masked = both_executions(own, torch.randn(2, 3, 28, 28))
    torch.testing.assert_close(skipped, masked, atol=1e-4, rtol=1e-4)
    head = dict(type="LinearClsHead", num_classes=10, in_channels=32)
    model = build(dict(type="mmdyt.DyTImageClassifier", backbone=backbone, head=head))
    assert 0 < train_step(model, torch.randn(4, 3, 28, 28))["activation_rate"] < 1


def test_the_config_of_the_quick_start_trains_on_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(REPO)
    for split in ("train", "val"):
        for index, name in enumerate(("cat", "dog")):
            folder = tmp_path / "pets" / split / name
            folder.mkdir(parents=True)
            Image.new("RGB", (8, 8), (200 * index, 0, 0)).save(folder / "0.png")
    (text,) = blocks("quick_start.md")
    config = tmp_path / "my_config.py"
    text = text.replace('"configs/', f'"{REPO}/configs/').replace("data/pets", f"{tmp_path}/pets")
    config.write_text(text)
    cfg = Config.fromfile(config)
    cfg.merge_from_dict(
        dict(
            work_dir=str(tmp_path), log_level="ERROR", train_cfg=dict(max_epochs=6, val_interval=6)
        )
    )
    metrics: dict = {}
    runner = Runner.from_cfg(cfg)
    runner.train()
    metrics = runner.val_loop.run()
    assert runner.model.head.fc.out_features == 2 and runner.model.objective.target_rate == 0.7
    assert metrics["accuracy/top1"] in (0, 50, 100) and "dispatch/gflops" in metrics
    # Two images make one iteration an epoch, and the learning rate rises all the same.
    assert runner.optim_wrapper.get_lr()["lr"][0] > 0.9 * cfg.optim_wrapper.optimizer.lr


@pytest.mark.long
def test_the_notebook_runs_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(REPO))
    notebook = nbformat.read(REPO / "notebooks/quick_start.ipynb", as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs for cell in cells), "clear the outputs before you commit"
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=600, resources=resources).execute()
    *_, metrics, file, maps = ("".join(map(str, cell.outputs)) for cell in cells)
    assert float(re.findall(r"accuracy/top1 +([\d.]+)", metrics)[0]) > 50
    assert "MiB, classes ['0'" in file.replace("\\", "")
    assert "image/png" in maps


def test_the_configs_of_the_pages_resolve(tmp_path):
    pages = ("config_guide.md", "configs.md", "methods.md")
    leaves = [block for page in pages for block in blocks(page) if "_base_ =" in block]
    assert len(leaves) == 4
    for number, leaf in enumerate(leaves):
        path = tmp_path / f"leaf{number}.py"
        path.write_text(re.sub(r'"(?:(?:\.\./)+(?:configs/)?|configs/)', f'"{REPO}/configs/', leaf))
        model = Config.fromfile(path).model
        model.backbone.update(arch="deit-tiny", init_cfg=None)
        model.head.in_channels = 192
        layer = build(model).backbone.layers[0]
        assert set(layer.dispatcher) == ({"mlp"}, {"attn"}, {"mlp"}, {"mlp"})[number]


def test_the_code_of_the_python_page_runs(zoo, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for folder in ("configs", "assets"):
        (tmp_path / folder).symlink_to(REPO / folder)
    namespace: dict = {}
    for block in blocks("python.md"):
        exec(compile(block, "python.md", "exec"), namespace)
    printed = capsys.readouterr().out
    for text in blocks("python.md", "text"):
        assert text in printed
    assert namespace["scores"].shape == (8, 10) and len(namespace["predictions"]) == 8
    assert all(0 <= float(rate) <= 1 for rate in namespace["rates"])
    assert namespace["infer"].classes == [str(digit) for digit in range(10)]


def test_the_backends_of_the_tracking_page_are_registered():
    from mmdyt.registry import VISBACKENDS

    (text,) = blocks("tracking.md")
    for backend in Config.fromstring(text, ".py").visualizer.vis_backends:
        cls = VISBACKENDS.get(backend["type"])
        inspect.signature(cls).bind("dir", **{k: v for k, v in backend.items() if k != "type"})


TAKES = {
    "model.dyt.": [DyTObjective],
    "model.backbone.adapter.": [BottleneckAdapter],
    "model.backbone.init_cfg.": [lambda checkpoint, prefix: None],
    "model.backbone.": [DyTViT, VisionTransformer],
    "model.": [CompleteModelMixin],
}


def test_the_keys_of_the_migration_page_exist():
    keys = re.findall(r"`(model\.[\w.]+)", (DOCS / "migration.md").read_text())
    assert len(keys) > 8
    for key in keys:
        prefix = next(prefix for prefix in TAKES if key.startswith(prefix))
        # Constructors hand on to that of the next base what they do not name.
        takers = {base for taker in TAKES[prefix] for base in getattr(taker, "__mro__", [taker])}
        names = {n for taker in takers - {object} for n in inspect.signature(taker).parameters}
        assert key.removeprefix(prefix) in names, key


def test_paths_and_links_of_every_page_exist(subtests):
    for page in PAGES:
        with subtests.test(str(page.relative_to(REPO))):
            assert broken_links(page) + missing_paths(page) == []


def broken_links(page: Path) -> list[str]:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    local = [link for link in links if not link.startswith(("http://", "https://"))]
    return [link for link in local if not (page.parent / link).exists()]


def missing_paths(page: Path) -> list[str]:
    roots = "configs|tools|projects|tests|requirements|assets|mmdyt|docs"
    paths = re.findall(rf"(?<![\w/.])((?:{roots})/[^\s`'\"),;:\]#]*)", page.read_text())
    whole = [path for path in paths if not re.search(r"[<>{}*]", path)]
    return [path for path in whole if not (REPO / path.rstrip(".")).exists()]


def test_types_and_modules_of_every_page_exist(subtests):
    importlib.import_module("mmdyt.integrations.mmseg")
    importlib.import_module("mmdyt.integrations.mmaction")
    if HAS_MMDET:
        importlib.import_module("mmdyt.integrations.mmdet")
    registries = [r for r in vars(registry).values() if isinstance(r, registry.Registry)]
    for page in PAGES:
        if page.name == "detection.md" and not HAS_MMDET:
            continue
        text = re.sub(r"(?s)^```python.*?^```", "", page.read_text(), flags=re.M)
        names = set(re.findall(r"(?<![\w./@])(mmdyt\.[A-Za-z_][\w.]*\w)", text))
        with subtests.test(str(page.relative_to(REPO))):
            missing = [n for n in names if not (_resolves(n) or any(n in r for r in registries))]
            assert missing == []


def _resolves(name: str) -> bool:
    if name.startswith("mmdyt.integrations.mmdet") and not HAS_MMDET:
        return True  # it needs requirements/detection.txt
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def public_names(path: Path) -> set[str]:
    """Classes and functions that a file defines without an underscore."""
    kinds = (ast.ClassDef, ast.FunctionDef)
    body = ast.parse(path.read_text()).body
    return {node.name for node in body if isinstance(node, kinds) and node.name[0] != "_"}


def test_the_api_reference_has_everything_public():
    text = "".join(page.read_text() for page in (DOCS / "api").glob("*.md"))
    listed = re.findall(r"automodule:: ([\w.]+)", text)
    assert len(listed) == len(set(listed))
    single = re.findall(r"auto(?:class|function):: ([\w.]+)", text)
    assert all(_resolves(name) for name in single)
    exported = {name.rpartition(".")[2] for name in single}
    for name in listed:
        if name == "mmdyt.integrations.mmdet" and not HAS_MMDET:
            continue
        exported |= set(getattr(importlib.import_module(name), "__all__", ()))
    for path in sorted((REPO / "mmdyt").rglob("*.py")):
        module = ".".join(path.relative_to(REPO).with_suffix("").parts)
        if module.removesuffix(".__init__") not in listed:
            missing = public_names(path) - exported
            assert not missing, f"docs/api lacks {module}: {sorted(missing)}"
