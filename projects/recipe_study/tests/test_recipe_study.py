"""The recipe study: what its page says is what its records say, and how statistics are gathered."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image
from torch.nn.modules.batchnorm import _BatchNorm

import mmdyt
from mmdyt.engine.suite import Suite
from mmdyt.models.dispatchers import TokenDispatcher
from projects.recipe_study.batch_norms import METHOD, gather_statistics, measure
from projects.recipe_study.collect import RECORDS, SUITES
from projects.recipe_study.report import PAGE, best_rates, grid, grid_table, read_norms, render
from projects.study.records import gather, read_records
from projects.study.study import Study

DEMO = "configs/segmentation/demo/dyt_vit-mini_fcn_fashion-scenes.py"


def test_the_committed_page_is_what_the_records_render_to():
    assert PAGE.read_text() == render(read_records(RECORDS), read_norms())


def test_the_records_are_of_the_suites_as_they_stand(tmp_path):
    for name, records in read_records(RECORDS).items():
        assert gather(Suite.fromfile(SUITES[name], tmp_path), records) == records
    scenes = {record["fingerprint"] for record in read_records(RECORDS)["scenes"]}
    assert {run["fingerprint"] for run in (read_norms() or {"runs": []})["runs"]} <= scenes


def test_the_demos_take_the_best_rate_of_the_grid(subtests):
    for name, records in read_records(RECORDS).items():
        study = Study(Suite.fromfile(SUITES[name]), records)
        found, names = best_rates(study), grid(study)
        assert found.keys() == names.keys(), "the best of a method lies at the edge"
        for method, best in found.items():
            with subtests.test(f"{name} {method}"):
                cfg = Config.fromfile(study.suite.methods[names[method][best]]["config"])
                paper = (name, method) == ("digits", "dyt-fixed")  # its rate, whatever is best
                assert cfg.optim_wrapper.optimizer.lr == (1e-3 if paper else best)


def test_a_grid_has_a_column_a_rate_and_leaves_open_what_is_not_there():
    suite = Suite.fromfile(SUITES["scenes"])
    record = dict(
        method=METHOD,
        task="scenes",
        seed=0,
        metrics={"mIoU": 60.0, "dispatch/activation_rate": 0.512},
    )
    lines = grid_table(Study(suite, [record, record | dict(seed=1, metrics=record["metrics"])]))
    head, _, *rows = lines.splitlines()
    assert head == "| mIoU, % | lr 0.003 | lr 0.01 | lr 0.03 | lr 0.1 | lr 0.3 | lr 1 |"
    assert rows[-1].endswith("complete model | - | - | 60.0 ± 0.0 (0.51) | - | - | - |")


@pytest.fixture
def segmentor():
    from mmseg.registry import MODELS

    import mmdyt.integrations.mmseg  # noqa: F401

    init_default_scope("mmseg")
    return MODELS.build(Config.fromfile(DEMO).model)


def test_a_model_is_measured_with_each_kind_of_statistics(segmentor, tmp_path):
    """An untrained one; a dozen scenes."""
    files = np.random.default_rng(0).integers(0, 5, (12, 64, 64), dtype=np.uint8)
    for kind, factor in (("images", 50), ("masks", 1)):
        for split in ("train", "test"):
            (tmp_path / kind / split).mkdir(parents=True)
            for index, file in enumerate(files):
                scene = Image.fromarray(file * np.uint8(factor))
                scene.save(tmp_path / kind / split / f"{index}.png")
    options: dict[str, object] = {}
    for part in ("train", "val", "test"):
        dataset = f"{part}_dataloader.dataset"
        options |= {f"{dataset}.data_root": str(tmp_path), f"{dataset}.indices": 12}
    suite = Suite.fromfile(SUITES["scenes"], tmp_path)
    tasks = {"scenes": suite.tasks["scenes"] | dict(cfg_options={})}
    (run,) = replace(suite, cfg_options=options, tasks=tasks).runs(methods=[METHOD], seeds=[0])
    run.work_dir.mkdir(parents=True)
    segmentor.init_weights()
    mmdyt.save_adapter(segmentor, run.work_dir / "adapter.safetensors")
    found = measure(run, "mIoU")
    assert list(found) == ["as trained", "noisy masks", "hard masks"]
    assert all(type(value) is float and 0 <= value <= 100 for value in found.values())


def statistics(model: torch.nn.Module) -> list[torch.Tensor]:
    return [m.running_mean.clone() for m in model.modules() if isinstance(m, _BatchNorm)]


def test_noise_moves_statistics_only_where_it_can_change_a_mask(segmentor):
    images = torch.randint(0, 256, (4, 2, 3, 64, 64), dtype=torch.uint8)
    batches = [dict(inputs=list(each), data_samples=None) for each in images]
    dispatchers = [m for m in segmentor.modules() if isinstance(m, TokenDispatcher)]
    found = {}
    for bias in (0.0, 100.0):
        for dispatcher in dispatchers:
            torch.nn.init.constant_(dispatcher.proj.bias, bias)
        for noisy in (False, True):
            gather_statistics(segmentor, batches, noisy)
            found[bias, noisy] = statistics(segmentor)
            assert not any(module.training for module in segmentor.modules())
    assert all(map(torch.allclose, found[100.0, False], found[100.0, True]))
    assert not any(map(torch.allclose, found[0.0, False], found[0.0, True]))
