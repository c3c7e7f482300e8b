"""Methods of a demo run, are recorded and reused as those of a sweep."""

import json

import pytest
import torch

from mmdyt.engine.comparison import compare


@pytest.fixture
def methods(digits_cfg, tmp_path) -> dict:
    """Arguments of a comparison of DyT at two target rates."""
    digits_cfg.pop("work_dir")
    digits_cfg.train_cfg.max_epochs = 1
    for rate in (0.3, 0.7):
        digits_cfg.model.dyt.target_rate = rate
        digits_cfg.dump(tmp_path / f"rate{rate}.py")
    keys = {"r = 0.3": "rate0.3", "r = 0.7": "rate0.7"}
    return dict(
        methods=keys,
        config=str(tmp_path / "{}.py"),
        metric="accuracy/top1",
        work_dir=tmp_path / "out",
    )


def test_methods_are_recorded_and_reused_while_their_config_is_the_same(methods, tmp_path):
    first = compare(**methods)
    files = {key: tmp_path / f"out/demo/{key}/seed0/record.json" for key in ("rate0.3", "rate0.7")}
    before = {key: json.loads(file.read_text()) for key, file in files.items()}
    config = tmp_path / "rate0.7.py"
    config.write_text(config.read_text().replace("target_rate=0.7", "target_rate=0.8"))

    again = compare(**methods)
    after = {key: json.loads(file.read_text()) for key, file in files.items()}
    assert after["rate0.3"] == before["rate0.3"]
    assert after["rate0.7"]["fingerprint"] != before["rate0.7"]["fingerprint"]
    assert (tmp_path / "out/demo/rate0.7/seed0.old1/record.json").exists()
    assert list(again) == ["r = 0.3", "r = 0.7"]
    assert again["r = 0.3"].metrics == first["r = 0.3"].metrics == before["rate0.3"]["metrics"]
    assert not again["r = 0.3"].model.training
    weights = [results["r = 0.3"].model.state_dict() for results in (first, again)]
    assert all(torch.equal(value, weights[1][key]) for key, value in weights[0].items())


def test_a_wrong_metric_is_refused_before_anything_runs(methods, tmp_path):
    with pytest.raises(ValueError, match="'top1' is none of what test_evaluator gives"):
        compare(**{**methods, "metric": "top1"})
    assert not (tmp_path / "out").exists()
