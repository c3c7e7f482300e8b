"""model-index.yml and the metafiles: OpenMMLab's format, every family of configs, no claims."""

import modelindex
import pytest
import yaml
from mmengine.config import Config

from mmdyt.engine.suite import Suite
from mmdyt.evaluation import build_uninitialised, count_parameters
from tests.conftest import CONFIGS, HAS_MMDET, PROJECTS, REPO
from tools.analysis_tools import model_zoo

METAFILES = yaml.safe_load((REPO / "model-index.yml").read_text())["Import"]
CONTENTS = [yaml.safe_load((REPO / name).read_text()) for name in METAFILES]
MODELS = [model for content in CONTENTS for model in content["Models"]]
IDS = [model["Name"] for model in MODELS]
DEMOS = {"digits", "demo"}


def family(path) -> tuple:
    """A config without its data set: the area, and the rest of the file's name."""
    folder, data = path.parent.parent, path.parent.name
    return folder.relative_to(CONFIGS), path.stem.replace(f"_{data}", "")


def test_the_index_is_valid():
    index = modelindex.load(str(REPO / "model-index.yml"))
    index.build_models_with_collections()
    assert index.check(silent=True) == []
    assert len(index.models) == len(MODELS)
    files = [*CONFIGS.rglob("metafile.yml"), *PROJECTS.rglob("metafile.yml")]
    assert {str(path.relative_to(REPO)) for path in files} == set(METAFILES)


def test_names_are_unique_and_collections_exist():
    assert len(set(IDS)) == len(IDS)
    collections = {each["Name"] for content in CONTENTS for each in content.get("Collections", [])}
    assert {model["In Collection"] for model in MODELS} == collections


def test_every_family_of_configs_is_listed():
    leaves = {
        family(path)
        for path in CONFIGS.rglob("*.py")
        if not ({"_base_", "suites"} | DEMOS) & set(path.relative_to(CONFIGS).parts)
    }
    listed = {family(REPO / m["Config"]) for m in MODELS if m["Config"].startswith("configs/")}
    assert listed == leaves


def test_an_entry_says_what_was_measured(subtests):
    """What was measured has its weights here; any other figure is called the paper's."""
    for model in MODELS:
        with subtests.test(model["Name"]):
            assert (REPO / model["Config"]).is_file()
            metrics = [name for result in model.get("Results", []) for name in result["Metrics"]]
            if model["Metadata"]["Status"] == "measured":
                assert (REPO / model["Weights"]).is_file()
                assert metrics and not any("paper" in name.lower() for name in metrics)
            else:
                assert model["Metadata"]["Status"] == "not measured" and model["Weights"] is None
                assert all(name.startswith("Paper's ") for name in metrics)


@pytest.mark.parametrize(("name", "task"), [("vtab1k", "cifar"), ("image_full_sets", "cifar100")])
def test_the_papers_figures_are_those_of_the_suites(name, task):
    methods = Suite.fromfile(CONFIGS / f"suites/{name}.py").methods.values()
    listed = {model["Config"]: model.get("Results", []) for model in MODELS}
    for method in methods:
        if method.get("cfg_options", {}).keys() <= {"optim_wrapper.optimizer.lr"}:
            results = listed[method["config"].format(task=task)]
            figures = [figure for result in results for figure in result["Metrics"].values()]
            paper = method.get("paper", {})
            assert figures == [paper[key] for key in paper if key != "gflops"], method["config"]


@pytest.mark.long
def test_parameters_are_the_models(subtests):
    for model in MODELS:
        if "detection" in model["Config"] and not HAS_MMDET:
            continue
        with subtests.test(model["Name"]):
            cfg = Config.fromfile(REPO / model["Config"])
            backbone = cfg.model.backbone
            backbone.get("module", backbone).init_cfg = None  # LoRA loads its weights when built
            count = count_parameters(build_uninitialised(cfg))
            assert model["Metadata"]["Parameters"] == count.total
            assert model["Metadata"]["Trained"] == count.trainable


def test_the_model_zoo_says_what_the_index_says():
    page = (REPO / "docs/model_zoo.md").read_text()
    assert page == model_zoo.write_page(model_zoo.read_models(REPO / "model-index.yml")), (
        f"write docs/model_zoo.md again: {model_zoo.COMMAND}"
    )
