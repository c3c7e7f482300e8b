"""Every config is a complete run of the recipe; every model takes a training step."""

import inspect
import json
import re
from copy import deepcopy
from functools import cache
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import DATASETS, HOOKS, MODELS, TRANSFORMS
from mmpretrain.structures import DataSample

from mmdyt.engine.suite import Suite
from tests.conftest import CONFIGS, HAS_MMDET, PROJECTS, REPO, build

FOLDERS = [CONFIGS, *sorted(PROJECTS.glob("*/configs"))]
SUITES = sorted(path for folder in FOLDERS for path in (folder / "suites").glob("*.py"))
LEAVES = sorted(
    path
    for folder in FOLDERS
    for path in folder.rglob("*.py")
    if not {"_base_", "suites"} & set(path.relative_to(folder).parts)
    and (HAS_MMDET or "detection" not in path.parts)  # its configs import mmdetection
)
IMAGE_LEAVES = [
    path
    for path in LEAVES
    if {CONFIGS / "image", PROJECTS} & set(path.parents)
    and "point_clouds" not in path.parts  # no images; its own tests train its models
]

# METHOD section 4, and the sets' own documentation.
VTAB_CLASSES = dict(
    cifar=100,
    caltech101=102,
    dtd=47,
    oxford_flowers102=102,
    oxford_iiit_pet=37,
    svhn=10,
    sun397=397,
    patch_camelyon=2,
    eurosat=10,
    resisc45=45,
    diabetic_retinopathy=5,
    clevr_count=8,
    clevr_dist=6,
    dmlab=6,
    kitti=4,
    dsprites_loc=16,
    dsprites_ori=16,
    smallnorb_azi=18,
    smallnorb_ele=9,
)
VTAB_METHODS = {"dyt", "linear", "full", "adaptformer", "lora", "vpt", "bitfit", "ssf"}
FULL_SETS = {"cifar100", "svhn", "food101", "aircraft", "pets", "stanford_cars"}
FULL_METHODS = VTAB_METHODS - {"bitfit", "ssf"} | {"dyt-moe4", "dynamic-full"}
FGVC_CLASSES = dict(cub=200, nabirds=555, flowers=102, dogs=120, cars=196)


@cache
def load(path: Path) -> Config:
    """Read a config once; whoever changes it takes a copy."""
    return Config.fromfile(path)


def name(path: Path) -> str:
    return str(path.relative_to(REPO))


# --- What there is -------------------------------------------------------------------------------


def test_every_task_has_every_method():
    vtab = {f"{task}/vit-b16_{m}" for task in VTAB_CLASSES for m in VTAB_METHODS}
    full = {f"{each}/vit-b16_{m}_8xb128_{each}" for each in FULL_SETS for m in FULL_METHODS}
    files = {
        folder: {
            path.relative_to(CONFIGS / folder).with_suffix("").as_posix()
            for path in (CONFIGS / folder).rglob("*.py")
        }
        for folder in ("image/vtab1k", "image")
    }
    assert files["image/vtab1k"] == vtab
    assert full <= files["image"]


def test_every_config_names_a_complete_run(subtests):
    keys = ("model", "train_dataloader", "test_dataloader", "optim_wrapper", "param_scheduler")
    for path in LEAVES:
        with subtests.test(name(path)):
            cfg = load(path)
            assert [key for key in (*keys, "default_scope") if not cfg.get(key)] == []
            assert path.read_text().startswith('"""'), "the file does not say what it is"


def test_an_objective_of_dispatch_stands_only_where_there_is_dispatch(subtests):
    """Anywhere else it has no effect, and the model warns."""
    for path in LEAVES:
        model = load(path).model
        backbone = model.get("backbone", {})
        dispatch = backbone.get("module", backbone).get("dispatch", "mlp")
        with subtests.test(name(path)):
            assert dispatch is not None or model.get("dyt") is None


def test_every_part_of_an_image_run_exists(subtests):
    for path in IMAGE_LEAVES:
        with subtests.test(name(path)):
            cfg = load(path)
            assert all(HOOKS.get(hook.type) for hook in cfg.custom_hooks)
            loaders = [cfg.train_dataloader, cfg.test_dataloader]
            if cfg.get("val_cfg") is not None:  # a run of seconds may do without validation
                loaders.append(cfg.val_dataloader)
            for loader in loaders:
                assert DATASETS.get(loader.dataset.type), loader.dataset.type
                build_transforms(json.dumps(loader.dataset.pipeline))


@cache
def build_transforms(pipeline: str) -> None:
    for transform in json.loads(pipeline):
        TRANSFORMS.build(transform)


# --- Classes and widths --------------------------------------------------------------------------


def test_the_head_fits_the_data_and_the_backbone(subtests):
    for path in IMAGE_LEAVES:
        with subtests.test(name(path)):
            check_head(path)


def check_head(path: Path) -> None:
    cfg = load(path)
    head, dataset = cfg.model.head, cfg.train_dataloader.dataset
    assert head.num_classes == cfg.data_preprocessor.num_classes
    known = {"vtab1k": VTAB_CLASSES, "fgvc": FGVC_CLASSES}.get(path.parts[-3], {})
    if path.parent.name in known:
        assert head.num_classes == known[path.parent.name]
        assert dataset.data_root.endswith(path.parent.name)
    classes = dataset.get("metainfo", {}).get("classes") or DATASETS.get(dataset.type).METAINFO.get(
        "classes"
    )
    if classes:
        assert head.num_classes == len(classes)

    backbone = cfg.model.backbone.get("module", cfg.model.backbone)
    assert head.in_channels == width(backbone)


def width(backbone: dict) -> int:
    """Channels that a backbone ends with."""
    zoo, arch = MODELS.get(backbone["type"]).arch_zoo, backbone["arch"]
    arch = zoo[arch] if isinstance(arch, str) else arch
    return arch["embed_dims"] * 2 ** (len(arch.get("depths", [0])) - 1)  # Swin doubles by stage


def test_a_checkpoint_is_read_by_its_prefix(subtests):
    """What tools/model_converters write holds the backbone under ``backbone.``."""
    for path in LEAVES:
        with subtests.test(name(path)):
            backbone = load(path).model.backbone
            init_cfg = backbone.get("module", backbone).get("init_cfg")
            assert init_cfg is None or init_cfg.prefix == "backbone."


# --- Recipes, METHOD section 4 -------------------------------------------------------------------

EVERY_VTAB = [path for path in IMAGE_LEAVES if "vtab1k" in path.parts]
EVERY_FULL = [path for each in FULL_SETS for path in (CONFIGS / "image" / each).glob("*.py")]
K400 = sorted((CONFIGS / "video/kinetics400").glob("*.py"))
SSV2 = sorted((CONFIGS / "video/sthv2").glob("*.py"))
RECIPES = {  # learning rate, weight decay, batch, GPUs, epochs, warm-up
    "vtab1k": (EVERY_VTAB, (1e-3, 1e-4, 64, 1, 100, 10)),
    "full sets": (EVERY_FULL, (1e-3 * 1024 / 256, 0.01, 1024, 8, 100, 20)),
    "kinetics400": (K400, (1e-3 * 128 / 256, 0.01, 128, 8, 12, 2)),
    "sthv2": (SSV2, (1e-3 * 128 / 256, 0.01, 128, 8, 50, 2)),
}


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_recipe_is_the_papers(recipe):
    paths, (lr, weight_decay, batch, gpus, epochs, warmup) = RECIPES[recipe]
    assert paths
    for path in paths:
        cfg = load(path)
        optimizer = cfg.optim_wrapper.optimizer
        assert optimizer.type == "AdamW"
        assert optimizer.lr == pytest.approx(lr) and optimizer.weight_decay == weight_decay
        assert cfg.train_dataloader.batch_size * gpus == batch == cfg.auto_scale_lr.base_batch_size
        rise, fall = cfg.param_scheduler
        assert (rise.type, rise.get("begin", 0), rise.end) == ("LinearLR", 0, warmup)
        assert (fall.type, fall.begin, fall.end) == ("CosineAnnealingLR", warmup, epochs)
        assert fall.eta_min == 0 and rise.start_factor <= 1e-6
        assert cfg.train_cfg.max_epochs == epochs


def test_images_are_normalised_by_half():
    for path in EVERY_VTAB + EVERY_FULL:
        preprocessor = load(path).data_preprocessor
        assert list(preprocessor.mean) == list(preprocessor.std) == [127.5] * 3


def test_vtab_images_are_resized_and_nothing_else():
    for path in EVERY_VTAB:
        cfg = load(path)
        for loader, lists in (
            (cfg.train_dataloader, "train800val200.txt"),
            (cfg.test_dataloader, "test.txt"),
        ):
            assert loader.dataset.ann_file == lists
            _, resize, _ = pipeline = loader.dataset.pipeline
            assert [part.type for part in pipeline] == ["LoadImageFromFile", "Resize", "PackInputs"]
            assert tuple(resize.scale) == (224, 224) and resize.interpolation == "bicubic"


def test_bottlenecks_are_8_on_vtab_and_64_elsewhere():
    for path in EVERY_VTAB + EVERY_FULL + K400 + SSV2:
        adapter = load(path).model.backbone.get("adapter")
        if adapter:
            assert adapter.bottleneck_dims == (8 if path in EVERY_VTAB else 64), path


def test_variants_have_their_default_rates():
    folder = CONFIGS / "image/cifar100"
    rates = {"": 0.5, "-attn": 0.5, "-attn-mlp": 0.7, "-layer": 0.7}
    for variant, rate in rates.items():
        model = load(folder / f"vit-b16_dyt{variant}_8xb128_cifar100.py").model
        assert model.backbone.dispatch == (variant[1:].replace("-", "_") or "mlp")
        assert model.dyt.to_dict() == dict(
            target_rate=rate, rate_weight=2.0, complete_weight=1.0, distill_weight=1.0
        )


# --- One tiny training step of every distinct model ----------------------------------------------


def shrink(model: dict) -> dict:
    """The same model, few layers, 32 wide, 4 classes, with random weights."""
    model = deepcopy(model)
    backbone = model["backbone"].get("module", model["backbone"])  # LoRA wraps the backbone
    backbone["init_cfg"] = None
    if "Swin" in backbone["type"]:
        arch = dict(embed_dims=16, depths=[2, 2], num_heads=[2, 4])
        backbone.update(arch=arch, img_size=56, patch_size=4, out_indices=(1,))
    else:
        arch = dict(embed_dims=32, num_layers=3, num_heads=4, feedforward_channels=64)
        backbone.update(arch=arch, img_size=56, patch_size=14)
    model["head"].update(in_channels=32, num_classes=4)
    return model


def distinct_models() -> dict[str, str]:
    """Every model of a leaf or of a suite's run, shrunk, as JSON, with the first that has it."""
    found: dict[str, str] = {}
    for path in IMAGE_LEAVES:
        shrunk = json.dumps(shrink(load(path).model.to_dict()), sort_keys=True)
        found.setdefault(shrunk, name(path))
    for path in SUITES:
        suite = Suite.fromfile(path)
        for run in suite.runs(seeds=suite.seeds[:1]):
            model = run.config().model.to_dict()
            if "head" in model:  # a classifier
                shrunk = json.dumps(shrink(model), sort_keys=True)
                found.setdefault(shrunk, f"{name(path)}: {run.name}")
    return found


def test_every_distinct_model_runs_forward_and_backward(subtests):
    for config, where in distinct_models().items():
        with subtests.test(where):
            model = build(json.loads(config))
            model.init_weights()
            model.train()
            samples = [DataSample().set_gt_label(index) for index in range(2)]
            total, _ = model.parse_losses(model.loss(torch.randn(2, 3, 56, 56), samples))
            total.backward()
            assert torch.isfinite(total)
            trained = [param for param in model.parameters() if param.requires_grad]
            assert trained
            assert all(param.grad is not None for param in trained)


# --- Suites --------------------------------------------------------------------------------------


def test_every_run_of_a_suite_has_its_own_title_and_known_keys(subtests):
    for path in SUITES:
        with subtests.test(name(path)):
            assert path.read_text().startswith('"""')
            suite = Suite.fromfile(path)
            titles = [method.get("title", key) for key, method in suite.methods.items()]
            assert len(set(titles)) == len(titles)
            for run in suite.runs(seeds=suite.seeds[:1]):
                for key in run.cfg_options:
                    assert parent(load(REPO / run.source), key), f"{run.name}: {key} is no key"


def parent(cfg: Config, key: str):
    """The dict that an option goes into; ``None`` if the key is misspelt on the way."""
    node = cfg
    for part in key.split(".")[:-1]:
        node = node[int(part)] if isinstance(node, list) else node.get(part)
        if node is None:
            return None
    return node


@pytest.mark.parametrize("suite", ["vtab1k", "vtab1k_scale"])
def test_the_vtab_suites_have_the_19_tasks_in_three_groups(suite):
    tasks = load(CONFIGS / f"suites/{suite}.py").tasks
    assert set(tasks) == set(VTAB_CLASSES)
    groups = [task.group for task in tasks.values()]
    assert [groups.count(g) for g in ("natural", "specialised", "structured")] == [7, 4, 8]


def test_the_scale_is_chosen_without_the_test_list():
    for run in Suite.fromfile(CONFIGS / "suites/vtab1k_scale.py").runs(tasks=["dtd"]):
        cfg = run.config()
        lists = [cfg[f"{part}_dataloader"].dataset.ann_file for part in ("train", "val", "test")]
        assert lists == ["train800.txt", "val200.txt", "val200.txt"]


# --- Documented axes -----------------------------------------------------------------------------


def documented_axes() -> list[str]:
    """The keys of the table in docs/configs.md."""
    section = (REPO / "docs/configs.md").read_text().split("## Axes")[1]
    rows = [line.split("|")[2] for line in section.splitlines() if line.startswith("|")]
    return [key for row in rows for key in re.findall(r"`([a-z_]+\.[\w.]+)`", row)]


def test_every_documented_axis_is_one():
    """Some config takes the key: it is there, or the class that it goes into has the argument."""
    methods = ("dyt", "dyt-moe4", "lora", "vpt")
    cfgs = [load(CONFIGS / f"image/cifar100/vit-b16_{m}_8xb128_cifar100.py") for m in methods]
    cfgs.append(load(CONFIGS / "image/vtab1k/cifar/vit-b16_dyt.py"))
    axes = documented_axes()
    assert len(axes) > 15
    for axis in axes:
        key = axis.split(".")[-1]
        assert any(takes(parent(cfg, axis), key) for cfg in cfgs), axis


def takes(node: dict | None, key: str) -> bool:
    if node is None or key in node:
        return node is not None
    built = MODELS.get(node["type"]) if "type" in node else None
    return built is not None and any(
        key in inspect.signature(each.__init__).parameters for each in built.__mro__
    )
