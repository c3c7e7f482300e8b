"""``tools/test.py --show-dir --tta``."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image

from mmdyt.datasets.video_motion import write_motion_videos
from mmdyt.engine.test_options import show_predictions, use_tta
from tests.conftest import CONFIGS, TINY_ARCH
from tools import test as test_tool


@pytest.fixture
def photos(digits_cfg, tmp_path):
    """The digits config on two photographs of one name: a red one and a blue one."""
    for index, colour in enumerate([(250, 20, 10), (10, 20, 250)]):
        picture = np.full((28, 28, 3), colour, dtype=np.uint8)
        picture[:, :5] = 255  # not its own mirror image
        (tmp_path / f"photos/{index}").mkdir(parents=True)
        Image.fromarray(picture).save(tmp_path / f"photos/{index}/photo.png")
    (tmp_path / "photos/list.txt").write_text("0/photo.png 0\n1/photo.png 1\n")
    dataset = digits_cfg.test_dataloader.dataset
    dataset.update(data_root=str(tmp_path / "photos"), ann_file="list.txt", indices=None)
    return digits_cfg


def checkpoint(cfg, path) -> tuple[torch.nn.Module, str]:
    """The config's model with random weights that count, and its checkpoint."""
    torch.manual_seed(3)
    model = Runner.from_cfg(cfg.copy()).model.eval()
    torch.nn.init.normal_(model.head.fc.weight, std=3.0)
    torch.save(dict(state_dict=model.state_dict()), path)
    return model, str(path)


def test_one_run_of_the_tool_draws_and_augments(photos, tmp_path, run_main):
    model, file = checkpoint(photos, tmp_path / "model.pth")
    photos.dump(tmp_path / "tiny.py")
    shown, out = tmp_path / "shown", tmp_path / "out.pkl"
    run_main(test_tool.main, tmp_path / "tiny.py", file, "--tta", "--show-dir", shown, "--out", out)
    # The config of a training in the run's folder stays the training's.
    assert [path.parent.name for path in tmp_path.rglob("tiny.py")] == [tmp_path.name, "tta"]
    predictions = pickle.loads(out.read_bytes())
    for index, prediction in enumerate(predictions):
        picture = np.asarray(Image.open(tmp_path / f"photos/{index}/photo.png"))
        image = torch.from_numpy(picture / 127.5 - 1).float().permute(2, 0, 1)[None]
        with torch.no_grad():
            scores = [model(x).softmax(-1) for x in (image, image.flip(3))]
        assert (scores[0] - scores[1]).abs().max() > 1e-4
        torch.testing.assert_close(prediction["pred_score"], sum(scores)[0] / 2, atol=1e-5, rtol=0)
        drawn = np.asarray(Image.open(shown / f"{index:05d}_photo.png_0.png").convert("RGB"))
        assert drawn[-20, -20].argmax() == (0, 2)[index], "red is red and blue is blue"


def test_segmentations_are_drawn_and_flipped_back(tmp_path):
    """The mean over the mirror image is the mirror image of the mean."""
    cfg = Config.fromfile(CONFIGS / "segmentation/demo/dyt_vit-mini_fcn_fashion-scenes.py")
    pixels = np.random.RandomState(0).randint(0, 256, (64, 64, 3), dtype=np.uint8)
    for name, picture in (("a", pixels), ("b", pixels[:, ::-1])):
        for kind, data in (("images", picture), ("masks", picture[..., 0] % 5)):
            (folder := tmp_path / kind / "test").mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.ascontiguousarray(data)).save(folder / f"{name}.png")
    head = dict(in_channels=[32] * 2, in_index=[0, 1])
    backbone = dict(arch=TINY_ARCH, init_cfg=None, out_indices=[1, 2])
    loader = dict(batch_size=1, dataset=dict(data_root=str(tmp_path)))
    model = dict(backbone=backbone, decode_head=head)
    cfg.merge_from_dict(dict(model=model, test_dataloader=loader, work_dir=str(tmp_path / "run")))
    cfg.merge_from_dict(dict(log_level="ERROR"))
    show_predictions(cfg, str(tmp_path / "shown"))
    use_tta(cfg)
    runner = Runner.from_cfg(cfg)
    runner.model.eval()
    masks = []
    with torch.no_grad():
        for batch in runner.test_dataloader:
            (sample,) = runner.model.test_step(batch)
            truth = np.asarray(Image.open(sample.img_path.replace("images", "masks")))
            np.testing.assert_array_equal(sample.gt_sem_seg.data[0].numpy(), truth)
            masks.append(sample.pred_sem_seg.data.squeeze().numpy())
    assert len(np.unique(masks[0])) > 1
    assert (masks[0] == masks[1][:, ::-1]).mean() > 0.999
    runner.test()
    assert len(list((tmp_path / "shown").rglob("*.png"))) == 2


def test_videos_are_drawn(tmp_path):
    write_motion_videos(tmp_path, num_train=1, num_test=3)
    cfg = Config.fromfile(CONFIGS / "video/demo/dyt_vit-mini_motion.py")
    backbone = dict(arch=TINY_ARCH, init_cfg=None)
    data = dict(ann_file=str(tmp_path / "test.txt"), data_prefix=dict(video=str(tmp_path)))
    cfg.merge_from_dict(
        dict(
            model=dict(backbone=backbone, cls_head=dict(in_channels=32)),
            test_dataloader=dict(batch_size=2, dataset=data),
            work_dir=str(tmp_path / "run"),
            log_level="ERROR",
        )
    )
    show_predictions(cfg, str(tmp_path / "shown"))
    Runner.from_cfg(cfg).test()
    pictures = sorted((tmp_path / "shown").iterdir())
    assert [picture.name[:6] for picture in pictures] == ["00000_", "00001_", "00002_"]
    wide, high = Image.open(pictures[0]).size
    assert wide > 3 * high  # the frames in a row


def test_pictures_of_detection_go_where_nothing_is(tmp_path):
    (tmp_path / "1.jpg").touch()
    with pytest.raises(ValueError, match="is not empty: choose a new folder"):
        show_predictions(Config(dict(default_scope="mmdet")), str(tmp_path))
    cfg = Config(dict(default_scope="mmdet"))
    show_predictions(cfg, "shown")
    assert Path(cfg.default_hooks.visualization.test_out_dir).is_absolute()


def test_what_has_no_augmentation_says_so():
    with pytest.raises(ValueError, match=r"--tta needs tta_model.*mmaction.*num_clips"):
        use_tta(Config.fromfile(CONFIGS / "video/demo/dyt_vit-mini_motion.py"))
    with pytest.raises(ValueError, match="--show-dir with default_scope='mmpose' is unknown"):
        show_predictions(Config(dict(default_scope="mmpose")), "out")
