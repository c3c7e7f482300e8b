"""The command line tools count what METHOD and the configs say."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

from mmdyt.evaluation import build_uninitialised, count_parameters, sample_shape
from tests.conftest import tiny_backbone, tiny_classifier
from tools.analysis_tools.get_flops import main

REPOSITORY = Path(__file__).resolve().parents[2]
TOOLS = REPOSITORY / "tools" / "analysis_tools"


def run_tool(name, *args):
    """Run a tool in its own process, in a terminal wide enough for its tables."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", str(TOOLS / name), *map(str, args)],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env=os.environ | dict(PYTHONPATH=str(REPOSITORY), COLUMNS="150"),
    )


def write_config(folder, **model):
    path = folder / "config.py"
    cfg = Config(dict(default_scope="mmpretrain", model=tiny_classifier(**model)))
    cfg.dump(path)
    return path


def cells(output):
    """Rows of a rich table by their first cell."""
    rows = [line.strip("│ ").split("│") for line in output.splitlines() if "│" in line]
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}


def test_get_flops_splits_the_model_and_ignores_missing_weights(tmp_path, run_main, capsys):
    missing = dict(type="Pretrained", checkpoint="no/such/file.pth")
    path = write_config(tmp_path, backbone=dict(init_cfg=missing), dyt=dict(target_rate=0.4))
    run_main(main, path)
    printed = capsys.readouterr().out
    rows = cells(printed)
    assert "rate 0.4" in printed
    complete, dynamic = map(float, rows["backbone"])
    assert dynamic < complete
    assert float(rows["head"][0]) == float(rows["head"][1]) == 32 * 10 / 1e9


def test_get_flops_refuses_a_rate_without_dispatchers(tmp_path, run_main):
    path = write_config(tmp_path, backbone=dict(dispatch=None))
    with pytest.raises(SystemExit, match=r"model\.backbone\.dispatch"):
        run_main(main, path, "--rate", 0.5)


def test_parameters_by_part():
    model = build_uninitialised(Config(dict(model=tiny_classifier())))
    count = count_parameters(model)
    adapters = 3 * (2 * 32 * 64 + 64 + 32)
    dispatchers = 3 * (32 + 1)
    head = 32 * 10 + 10
    assert (count.adapters, count.dispatchers) == (adapters, dispatchers)
    assert count.trainable == adapters + dispatchers + head
    assert count.total == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    "config, size, expected",
    [
        (dict(model=tiny_classifier()), None, (3, 28, 28)),
        (dict(model=tiny_backbone()), None, (3, 28, 28)),
        (dict(model=tiny_classifier()), (32, 64), (3, 32, 64)),
        (dict(model=dict(backbone=dict(type="mmdyt.DyTViT"))), None, (3, 224, 224)),
        (
            dict(model=dict(backbone=dict(type="LoRAModel", module=tiny_backbone()))),
            None,
            (3, 28, 28),
        ),
    ],
)
def test_sample_shape_of_images(config, size, expected):
    assert sample_shape(Config(config), size) == expected


def test_sample_shape_of_clips():
    sampler = dict(type="SampleFrames", clip_len=8, frame_interval=16, num_clips=1)
    dataset = dict(type="VideoDataset", pipeline=[dict(type="DecordInit"), sampler])
    cfg = Config(dict(model=tiny_classifier(), train_dataloader=dict(dataset=dataset)))
    assert sample_shape(cfg) == (8, 3, 28, 28)


@pytest.mark.long
def test_table_agrees_with_the_paper():
    result = run_tool("flops_table.py", "--json")
    assert result.returncode == 0, result.stderr
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert {"vit-b", "adaptformer-d8", "adaptformer-d64", "dyt-mlp", "vit-l"} <= rows.keys()
    for row in rows.values():
        if row["rate"] is None:
            assert row["gflops"] == pytest.approx(row["paper_gflops"], rel=0.005), row["name"]
        if row["paper_params_added_m"] is not None:
            assert row["params_added_m"] == pytest.approx(
                row["paper_params_added_m"], rel=0.005, abs=0.005
            ), row["name"]
    # 12 layers, half of 196 patch tokens, an MLP and its norm that they skip.
    spared = 12 * 98 * (2 * 768 * 3072 + 5 * 768) / 1e9
    dispatchers = 12 * 197 * 768 / 1e9
    expected = rows["adaptformer-d64"]["gflops"] - spared + dispatchers
    assert rows["dyt-mlp"]["gflops"] == pytest.approx(expected, abs=2e-4)
