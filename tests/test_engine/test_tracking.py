"""The one-line switches of docs/tracking.md: what a run logs arrives at the tracker."""

from pathlib import Path

import pytest
from mmengine.config import Config, DictAction
from mmengine.runner import Runner

from tests.conftest import REPO

RATES = {"dispatch/activation_rate", "dispatch/gflops", "dispatch/rate_00_mlp"}


def switched(cfg: Config, *options: str) -> Config:
    """The config after ``--cfg-options`` with these words."""
    for option in options:
        key, value = option.split("=", maxsplit=1)
        cfg.merge_from_dict({key: DictAction._parse_iterable(value)})
    cfg.val_dataloader.dataset.indices = cfg.train_dataloader.dataset.indices = 10
    return cfg


def test_wandb_receives_the_rates_and_no_source_code(digits_cfg, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.chdir(REPO)
    cfg = switched(digits_cfg, "visualizer.vis_backends.1.type=mmdyt.WandbVisBackend")
    Runner.from_cfg(cfg).train()
    log = next(Path(cfg.work_dir).glob("*/vis_data/wandb/offline-run-*/run-*.wandb")).read_bytes()
    for name in (*RATES, "accuracy/top1", "rate_loss", "target_rate"):
        assert name.encode() in log, name
    assert b"tests/conftest.py" not in log


def test_mlflow_receives_the_rates_of_every_epoch(digits_cfg, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    store = f"sqlite:///{tmp_path}/mlflow.db"
    cfg = switched(
        digits_cfg,
        "visualizer.vis_backends.1.type=MLflowVisBackend",
        f"visualizer.vis_backends.1.tracking_uri={store}",
    )
    Runner.from_cfg(cfg).train()
    client = mlflow.MlflowClient(store)
    (run,) = client.search_runs([client.get_experiment_by_name("Default").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.metrics.keys() >= RATES
    assert run.data.params["model.dyt.target_rate"] == "0.5"
    assert len(client.get_metric_history(run.info.run_id, "dispatch/gflops")) == 2
