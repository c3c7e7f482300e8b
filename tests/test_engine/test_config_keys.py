"""Keys that something reads pass, others are refused with the nearest spelling."""

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from mmdyt.engine.config_keys import load_config, merge_options
from mmdyt.engine.config_types import arguments_of
from mmdyt.engine.suite import Suite
from mmdyt.models import DyTViT
from tests.conftest import CONFIGS

DYT = CONFIGS / "image/cifar100/vit-b16_dyt_8xb128_cifar100.py"
NEW_KEYS = {
    "model.backbone.with_cp": True,
    "model.backbone.drop_path_rate": 0.1,
    "model.backbone.adapter.norm": "pre",
    "model.backbone.dispatcher.type": "mmdyt.SampleDispatcher",
    "model.backbone.dispatcher.init_cfg": None,
    "model.head.topk": (1, 5),
    "model.train_cfg.augments.type": "Mixup",
    "model.init_cfg.type": "TruncNormal",
    "optim_wrapper.clip_grad.max_norm": 1.0,
    "optim_wrapper.accumulative_counts": 2,
    "optim_wrapper.optimizer.betas": (0.9, 0.99),
    "optim_wrapper.paramwise_cfg.norm_decay_mult": 0.0,
    "optim_wrapper.paramwise_cfg.custom_keys.head.lr_mult": 10.0,
    "train_cfg.val_begin": 5,
    "train_dataloader.drop_last": True,
    "train_dataloader.prefetch_factor": 4,
    "train_dataloader.dataset.indices": 100,
    "train_dataloader.sampler.seed": 3,
    "default_hooks.checkpoint.save_best": "auto",
    "default_hooks.checkpoint.filename_tmpl": "e{}.pth",
    "custom_hooks.0.max_decode": 8,
    "custom_hooks.0.priority": "LOW",
    "env_cfg.dist_cfg.timeout": 100,
    "randomness.diff_rank_seed": True,
    "find_unused_parameters": True,
    "experiment_name": "mine",
    "log_processor.window_size": 5,
    "visualizer.vis_backends.1.type": "MLflowVisBackend",
    "visualizer.vis_backends.1.tracking_uri": "sqlite:///mlflow.db",
}


def test_keys_that_a_class_or_mmengine_reads_may_be_new():
    cfg = load_config(str(DYT), NEW_KEYS)
    assert cfg.optim_wrapper.paramwise_cfg.custom_keys.head.lr_mult == 10.0
    assert cfg.visualizer.vis_backends[1].tracking_uri == "sqlite:///mlflow.db"


def test_shipped_configs_and_suites_pass():
    """Configs of every task and every way of tuning; what suites change in them."""
    pytest.importorskip("mmseg")
    paths = ["image/cifar100", "image/vtab1k/cifar", "segmentation", "video"]
    configs = sorted(path for folder in paths for path in (CONFIGS / folder).rglob("*.py"))
    assert len(configs) > 50
    refused = {}
    for path in configs:
        try:
            load_config(str(path))
        except ValueError as error:
            refused[path.name] = str(error)
    for path in sorted((CONFIGS / "suites").glob("*.py")):
        suite = Suite.fromfile(path)
        for name, method in suite.methods.items():
            try:
                task = next(iter(suite.tasks))
                cfg = Config.fromfile(str(method["config"]).format(task=task))
                init_default_scope(cfg.default_scope)
                merge_options(cfg, method.get("cfg_options", {}))
            except ValueError as error:
                refused[f"{path.name} {name}"] = str(error)
    assert not refused


def test_arguments_follow_keywords_to_the_parents_and_stop_where_they_leave():
    assert {"dispatch", "adapter", "img_size", "init_cfg", "drop_path_rate"} <= arguments_of(DyTViT)

    class Closed(nn.Module):
        def __init__(self, width, **kwargs):
            super().__init__(**kwargs)

    class Child(Closed):
        def __init__(self, *args, depth=1, **kwargs):
            super().__init__(*args, **kwargs)

    class Elsewhere(Closed):
        def __init__(self, **kwargs):
            super().__init__(3)
            self.part = nn.Linear(**kwargs)

    assert arguments_of(Child) == {"width", "depth"}
    assert arguments_of(Elsewhere) is None, "any key may be right"


@pytest.mark.parametrize(
    "text, said",
    [
        ("val_evaluator = dict(type='Accuracy', topq=1)", r"val_evaluator.topq is unknown.*topk"),
        ("model = dict(type='mmdyt.DyTImageClasifier')", "did you mean mmdyt.DyTImageClassifier"),
        ("train_cfg = dict(by_epoch=True, max_epoch=3)", "did you mean train_cfg.max_epochs"),
        ("1 / 0", r"config.py: ZeroDivisionError: division by zero"),
    ],
)
def test_a_config_file_is_held_to_its_classes(tmp_path, text, said):
    path = tmp_path / "config.py"
    path.write_text(f"default_scope = 'mmpretrain'\n{text}\n")
    with pytest.raises(ValueError, match=said):
        load_config(str(path))
