"""The table of batch sizes: what it measures scales as training does."""

import pytest
from mmengine.config import Config

from mmdyt.evaluation import build_uninitialised
from tests.conftest import tiny_classifier
from tools.analysis_tools import memory_table
from tools.analysis_tools.memory_table import Memory, measure, saved


def config(**backbone) -> Config:
    return Config(dict(model=tiny_classifier(backbone), default_scope="mmpretrain"))


def test_an_image_costs_what_the_next_one_adds():
    image = measure(config(dispatch=None), amp=False).image
    model = build_uninitialised(config(dispatch=None)).train()
    four, nine = (saved(model, batch, (3, 28, 28), amp=False) for batch in (4, 9))
    assert nine - four == pytest.approx(5 * image, rel=0.02)


def test_methods_differ_as_their_graphs_do():
    """DyT keeps a complete and a dynamic pass, checkpoints keep less, half precision too."""
    plain, dynamic = (measure(config(dispatch=d), amp=False) for d in (None, "mlp"))
    assert 1.3 * plain.image < dynamic.image < 2.2 * plain.image
    assert measure(config(with_cp=True), amp=False).image < dynamic.image
    half = measure(config(), amp=True)
    assert half.image < dynamic.image and half.fixed > dynamic.fixed


def test_a_batch_leaves_the_spare_share_free():
    memory = Memory(fixed=1024, image=100)
    assert memory.batch(8, spare=0.25) == (8 * 1024 * 3 // 4 - 1024) // 100
    assert memory.batch(1, spare=0.25) == 0


def test_the_command_prints_a_row_a_config_and_refuses_other_models(run_main, capsys):
    digits = "configs/image/digits/vit-mini_{}_digits.py"
    run_main(memory_table.main, digits.format("dyt"), digits.format("full"), "--gpus", 8)
    out = capsys.readouterr().out
    assert "vit-mini_dyt_digits" in out and "vit-mini_full_digits" in out and "8 GiB" in out
    with pytest.raises(SystemExit, match="only image classifiers"):
        run_main(memory_table.main, "configs/segmentation/demo/dyt_vit-mini_fcn_fashion-scenes.py")
