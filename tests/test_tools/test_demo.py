"""The demo from its trainings to its page, with trainings of one epoch."""

import json

import pytest
from mmengine.config import Config

from tests.conftest import CONFIGS, short_run
from tools import demo


@pytest.mark.long
def test_demo_ends_with_a_table_of_methods_and_budgets_and_the_page(
    digits_root, tmp_path, monkeypatch, run_main, capsys
):
    short = short_run(digits_root, tmp_path / "none")
    images = dict(dataset=dict(indices=256))
    for method in demo.METHODS.values():
        leaf = Config.fromfile(CONFIGS / f"image/digits/vit-mini_{method}_digits.py")
        leaf.merge_from_dict(
            dict(
                train_dataloader=short.train_dataloader,
                val_dataloader=short.val_dataloader,
                test_dataloader=short.test_dataloader | images,
                train_cfg=dict(max_epochs=1, val_interval=1),
                log_level="ERROR",
            )
        )
        leaf.dump(tmp_path / f"{method}.py")
    monkeypatch.setattr(demo, "CONFIGS", str(tmp_path / "{}.py"))
    monkeypatch.setattr(demo, "BUDGETS", 5)
    monkeypatch.chdir(tmp_path)
    run_main(demo.main, "--work-dir", tmp_path / "demo")

    rows = {row["method"]: row for row in json.loads((tmp_path / "demo/results.json").read_text())}
    assert list(rows) == [*demo.METHODS, "the same DyT, set to 0.4", "the same DyT, set to 0.7"]
    for rate in (0.4, 0.7):
        row = rows[f"the same DyT, set to {rate}"]
        assert row["activation_rate"] == pytest.approx(rate, abs=0.1)
    dense = rows["AdaptFormer"]["gflops"]
    low, high = (rows[f"the same DyT, set to {rate}"]["gflops"] for rate in (0.4, 0.7))
    assert low < high < dense
    for name in ("activation_rates", "token_maps", "curves", "budgets"):
        assert (tmp_path / f"demo/{name}.png").stat().st_size > 10_000
    said = capsys.readouterr().out
    page = tmp_path / "demo/report.html"
    assert f"Page: {page}" in said and page.stat().st_size > 100_000
    assert "GFLOPs, accuracy" in page.read_text()  # the slider over budgets
    assert all(title in said for title in rows)
