"""``tools/image_demo.py``: own files in, predictions and pictures out."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import mmdyt
from mmdyt.datasets.video_motion import write_video
from mmdyt.models.utils import collect_dispatch
from mmdyt.visualization import draw_prediction, shade_inactive, token_maps_of
from tests.conftest import CONFIGS, TINY_ARCH, build, tiny_classifier
from tests.test_models.helpers import spread_dispatch
from tools import image_demo

PIPELINE = [dict(type="LoadImageFromFile"), dict(type="Resize", scale=28), dict(type="PackInputs")]


@pytest.fixture
def adapter(tmp_path):
    base = build(dict(type="VisionTransformer", arch=TINY_ARCH, img_size=28, patch_size=4))
    torch.save(base.state_dict(), tmp_path / "base.pth")
    init_cfg = dict(type="Pretrained", checkpoint=str(tmp_path / "base.pth"))
    model = build(tiny_classifier(dict(init_cfg=init_cfg)))
    model.init_weights()
    spread_dispatch(model)
    classes = dict(classes=[f"kind {index}" for index in range(10)])
    file = tmp_path / "adapter.safetensors"
    mmdyt.save_adapter(model, file, dataset_meta=classes, test_pipeline=PIPELINE)
    return file


@pytest.fixture
def folder(tmp_path):
    """Two photographs, one in a subfolder and with the other's name, and a broken one."""
    for name, size in (("a.png", (40, 30)), ("more/a.png", (28, 28)), ("notes.txt", None)):
        (path := tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        if size is None:
            path.write_text("no image, and not called one")
        else:
            pixels = np.random.RandomState(len(name)).randint(0, 256, (*size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path)
    (tmp_path / "photos/broken.jpg").write_bytes(b"\xff\xd8 no image")
    return tmp_path / "photos"


def test_a_folder_is_done_but_for_what_cannot_be_read(adapter, folder, tmp_path, run_main, capsys):
    out = tmp_path / "out"
    run_main(image_demo.main, folder, adapter, "--out", out, "--device", "cpu")
    printed = capsys.readouterr().out
    assert "1 of 3 could not be read:\n  broken.jpg" in printed
    assert "2 predicted, 1 unreadable" in printed
    found = json.loads((out / "results.json").read_text())
    assert set(found["results"]) == {"a.png", "more/a.png"} and set(found["unreadable"]) == {
        "broken.jpg"
    }
    infer = mmdyt.inferencer(adapter, device="cpu")
    for name, row in found["results"].items():
        (result,) = infer(folder / name, token_maps=True)
        assert row["gflops"] == pytest.approx(result["gflops"])
        assert row["activation_rate"] == pytest.approx(sum(row["rates"].values()) / 3)
        assert row["prediction"].startswith(result["pred_class"])
        assert Image.open(out / f"{name}.png").size[0] > 400
    assert found["results"]["a.png"]["gflops"] != found["results"]["more/a.png"]["gflops"]


def test_wrong_input_is_named(adapter, folder, tmp_path, run_main):
    (tmp_path / "empty").mkdir()
    for arguments, told in (
        ([tmp_path / "nothing.jpg", adapter], "no image, video or folder at"),
        ([tmp_path / "empty", adapter], "has no file of"),
        ([folder / "notes.txt", adapter], r"this model takes \['.bmp'"),
        ([folder / "broken.jpg", adapter], "1 of 1 could not be read"),
        ([folder, tmp_path / "no.safetensors"], "no checkpoint at"),
        ([folder, adapter, "--cfg-options", "a=1"], "--cfg-options needs a config"),
        ([folder, adapter, "--checkpoint", tmp_path / "no.pth"], "--checkpoint: no checkpoint at"),
    ):
        with pytest.raises(SystemExit, match=told):
            run_main(image_demo.main, *arguments, "--out", tmp_path / "out")


def test_files_of_the_user_are_left_alone(adapter, folder, tmp_path, run_main):
    """Our own pictures are written anew, whichever inputs an earlier call had."""
    out = tmp_path / "out"
    for one in (folder / "a.png", folder / "more", folder / "a.png"):
        run_main(image_demo.main, one, adapter, "--out", out, "--device", "cpu")
    for file in ("a.png.png", "a.png.mask.png", "results.json"):
        before = (out / file).read_bytes() if (out / file).exists() else None
        for content in (b"mine", (folder / "a.png").read_bytes()):
            (out / file).write_bytes(content)
            with pytest.raises(SystemExit, match=f"{file} is a file of yours: choose another"):
                run_main(image_demo.main, folder, adapter, "--out", out, "--device", "cpu")
            assert (out / file).read_bytes() == content
        (out / file).unlink() if before is None else (out / file).write_bytes(before)
    for inside in (folder, tmp_path):
        with pytest.raises(SystemExit, match=r"holds the inputs of .*: choose a folder of its own"):
            run_main(image_demo.main, folder, adapter, "--out", inside, "--device", "cpu")


def test_a_config_and_a_video(tmp_path, run_main, capsys):
    frames = np.random.RandomState(0).randint(0, 256, (16, 28, 28, 3), dtype=np.uint8)
    write_video(tmp_path / "clip.mp4", frames)
    config = CONFIGS / "video/demo/dyt_vit-mini_motion.py"
    small = "model.backbone.init_cfg=None"
    out = tmp_path / "out"
    run_main(image_demo.main, tmp_path / "clip.mp4", config, "--out", out, "--cfg-options", small)
    assert "adapters, dispatchers and head are untrained" in capsys.readouterr().out
    assert Image.open(out / "clip.mp4.png").size[0] > 400
    rates = json.loads((out / "results.json").read_text())["results"]["clip.mp4"]["rates"]
    assert list(rates) == [f"mlp {layer}" for layer in range(6)]


def test_skipped_patches_differ_from_active_ones_on_any_background():
    active = np.array([[True, False]])
    for level in (0, 64, 255):
        image = np.full((4, 9, 3), (level, level, min(level + 60, 255)), dtype=np.uint8)
        shaded = shade_inactive(image, active).astype(int)
        np.testing.assert_array_equal(shaded[:, :5], image[:, :5])  # 9 px do not halve
        assert np.abs(shaded[:, 5:] - image[:, 5:]).max() > 40
        assert len(np.unique(shaded[0, 8])) == 1, "colourless"


def test_outlines_are_drawn_around_active_patches():
    """One active patch in the middle has four edges, two neighbours have six."""
    image = np.zeros((1, 30, 30, 3), dtype=np.uint8)
    for patches, edges in (([(1, 1)], 4), ([(1, 1), (1, 2)], 6), ([(0, 0), (2, 2)], 8)):
        active = np.zeros((1, 3, 3), dtype=bool)
        for row, column in patches:
            active[0, row, column] = True
        result = dict(images=image, token_maps={"mlp 0": active}, activation_rate=0.1, gflops=1.0)
        scores = dict(pred_label=1, pred_score=0.5)
        axis = draw_prediction(result | scores, "a.png").axes[1]
        (lines,) = axis.collections
        assert len(lines.get_segments()) == edges
        assert axis.get_xlabel() == f"{len(patches) / 9:.0%}"
    xs = np.array(draw_prediction(result | scores).axes[1].collections[0].get_segments())
    assert xs.min() == -0.5 and xs.max() == 29.5


def test_maps_of_merged_tokens_are_refused():
    model = build(dict(type="mmdyt.DyTViT", arch=TINY_ARCH, img_size=28, patch_size=4))
    with torch.no_grad(), collect_dispatch(model.eval()) as records:
        model(torch.zeros(1, 3, 28, 28))
    assert token_maps_of(records, (28, 28))["mlp 2"].shape == (1, 7, 7)
    with pytest.raises(ValueError, match="49 tokens of mlp 0 form no grid over an image of 28 x 1"):
        token_maps_of(records, (28, 13))


def test_names_are_shown_as_they_are(adapter, folder, tmp_path, run_main, capsys):
    """Neither mathematics of matplotlib nor markup of rich; a second run skips its own pictures."""
    (folder / "a.png").rename(folder / "$x_$[bold].png")
    model = mmdyt.load_adapter(adapter)
    classes = dict(classes=[f"$\\q${index}" for index in range(10)])
    mmdyt.save_adapter(model, tmp_path / "odd.safetensors", dataset_meta=classes)
    out = folder / "out"
    for _ in range(2):
        run_main(
            image_demo.main, folder, tmp_path / "odd.safetensors", "--out", out, "--device", "cpu"
        )
        printed = capsys.readouterr().out
        assert "$x_$[bold].png" in printed and "$\\q$" in printed
        assert "2 predicted, 1 unreadable" in printed
