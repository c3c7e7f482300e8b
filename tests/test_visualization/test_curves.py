"""Curves: one axis of epochs, comparable losses, resumed runs whole."""

import io
import json

import pytest

from mmdyt.visualization.curves import draw_curves, positions, read_scalars
from mmdyt.visualization.suite_figures import draw_accuracy_cost, draw_rates_by_layer


def write_log(folder, name: str, entries: list[dict]) -> None:
    (folder / name / "vis_data").mkdir(parents=True)
    lines = map(json.dumps, entries)
    (folder / name / "vis_data/scalars.json").write_text("\n".join(lines))


def train(iteration: int, per_epoch: int = 20, **losses: float) -> dict:
    epoch = -(-iteration // per_epoch)
    return dict(loss=sum(losses.values()), epoch=epoch, iter=iteration, step=iteration, **losses)


def test_training_and_validation_share_an_axis_of_epochs(tmp_path):
    log = [train(10, a=3.0), train(20, a=2.0), {"accuracy/top1": 50.0, "step": 1}]
    log += [train(40, a=1.0), {"accuracy/top1": 60.0, "step": 2}]
    write_log(tmp_path, "1", log)
    read = read_scalars(tmp_path)
    places, unit = positions(read)
    by_key = {
        key: [p for p, e in zip(places, read) if key in e] for key in ("loss", "accuracy/top1")
    }
    assert unit == "epoch" and by_key == {"loss": [0.5, 1.0, 2.0], "accuracy/top1": [1, 2]}
    axes = draw_curves({"run": read}, {"loss": "", "accuracy/top1": ""}).axes
    assert all(one.get_xlabel() == "epoch" for one in axes)
    iterations = [dict(loss=1.0, iter=50, step=50), dict(mIoU=0.3, step=100)]
    assert positions(iterations) == ([50, 100], "iteration")


def test_a_run_of_iterations_is_one_too(tmp_path):
    """mmengine's logger gives tests the number of passes over the data as their step."""
    train = [dict(loss=1.0, iter=step, step=step) for step in (50, 100)]
    write_log(tmp_path, "1", [train[0], dict(mIoU=0.3, step=0), train[1], dict(mIoU=0.4, step=0)])
    log = read_scalars(tmp_path)
    places, _ = positions(log)
    assert [place for place, entry in zip(places, log) if "mIoU" in entry] == [50, 100]


def test_the_tasks_loss_is_the_dynamic_models(tmp_path):
    dyt = {"complete.loss": 2.0, "dynamic.loss": 1.5, "distill_loss": 0.5, "rate_loss": 0.1}
    write_log(tmp_path / "dyt", "1", [train(20, **dyt)])
    write_log(tmp_path / "plain", "1", [train(20, a=1.25)])
    assert read_scalars(tmp_path / "dyt")[0]["task_loss"] == 1.5
    assert read_scalars(tmp_path / "plain")[0]["task_loss"] == 1.25


def test_a_resumed_run_is_one_curve(tmp_path):
    write_log(tmp_path, "1", [train(20, a=3.0), train(40, a=2.0)])
    write_log(tmp_path, "2", [train(40, a=1.5), train(60, a=1.0)])
    assert [entry["loss"] for entry in read_scalars(tmp_path)] == [3.0, 1.5, 1.0]
    with pytest.raises(FileNotFoundError, match="scalars"):
        read_scalars(tmp_path / "nowhere")


def test_another_training_in_the_folder_is_not_mixed_in(tmp_path):
    first = [train(step, a=9.0) for step in (20, 40, 60, 80)]
    write_log(tmp_path, "1", [*first, {"accuracy/top1": 50.0, "step": 4}])
    write_log(
        tmp_path, "2", [train(25, a=2.0), train(50, a=1.0), {"accuracy/top1": 60.0, "step": 2}]
    )
    write_log(tmp_path, "3", [{"accuracy/top1": 61.0, "step": 0}])  # a test alone
    log = read_scalars(tmp_path)
    assert [entry["loss"] for entry in log if "loss" in entry] == [9.0, 2.0, 1.0]
    assert [e["accuracy/top1"] for e in log if "loss" not in e] == [61.0, 60.0]


def test_lines_that_were_cut_off_are_left_out(tmp_path):
    write_log(tmp_path, "1", [train(20, a=3.0), train(40, a=2.0)])
    log = tmp_path / "1/vis_data/scalars.json"
    first, second = log.read_text().splitlines()
    log.write_text("\n".join([first, second[:20] + first, "", second[:9]]))
    assert [entry["loss"] for entry in read_scalars(tmp_path)] == [3.0]


def test_points_have_the_tables_unit_and_no_leader_lines():
    points = {f"method {i}": (0.05 + i / 100, 80.0 + i) for i in range(9)}
    figure = draw_accuracy_cost(points, dict.fromkeys(points, ""))
    (axes,) = figure.axes
    assert axes.get_xlabel().startswith("GFLOPs") and not axes.texts
    assert {tuple(map(float, line.get_xydata()[0])) for line in axes.lines} == set(points.values())
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == sorted(points, reverse=True)  # from the most accurate down
    assert len({(line.get_color(), line.get_marker()) for line in axes.lines[:7]}) == 7


def test_layers_are_counted_from_0():
    (axes,) = draw_rates_by_layer({"dyt": [[1.0, 0.5, 0.0]]}, {"dyt": 0.5}).axes
    assert list(axes.lines[0].get_xdata()) == [0, 1, 2] and "from 0" in axes.get_xlabel()


def test_names_that_matplotlib_hides_or_sets_as_formulas_are_shown():
    """It leaves names with a leading _ out of legends, and reads $x_$ as mathematics."""
    names = ["_run", "$x_$", "_child0"]
    curves = draw_curves({name: [train(20, a=1.0)] for name in names}, {"loss": ""}).axes[0]
    cost = draw_accuracy_cost(dict.fromkeys(names, (1.0, 2.0)), dict.fromkeys(names, ""))
    rates = draw_rates_by_layer({name: [[1.0]] for name in names}, {}).axes[0]
    for legend in (curves.get_legend(), cost.legends[0], rates.get_legend()):
        shown = [text.get_text().removesuffix(" (measured 1.00)") for text in legend.get_texts()]
        assert shown == names
        assert not any(text.get_parse_math() for text in legend.get_texts())
    curves.figure.savefig(io.BytesIO())
