"""Small data, configs and weights: sound ones, and beside them those that are not."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from PIL import Image
from torch import nn

from mmdyt.evaluation import build_uninitialised
from tests.conftest import CONFIGS, TINY_ARCH

LISTS = ("train800val200", "test")


def write_image_task(root: Path, name: str, labels: range = range(6)) -> None:
    """Six images of 12 x 10 px a list, in VTAB-1K's layout."""
    for part in LISTS:
        lines = []
        for index, label in enumerate(labels):
            path = root / name / "images" / part / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (12, 10), (40 * index, 60, 30)).save(path)
            lines.append(f"images/{part}/{index}.png {label}\n")
        (root / name / f"{part}.txt").write_text("".join(lines))


def write_scenes(root: Path, name: str) -> None:
    """Four images of 64 x 64 px and their masks a part."""
    for part in ("train", "test"):
        for kind, mode, colour in (("images", "RGB", (90, 60, 30)), ("masks", "L", 1)):
            folder = root / name / kind / part
            folder.mkdir(parents=True)
            for index in range(4):
                Image.new(mode, (64, 64), colour).save(folder / f"{index}.png")


def write_videos(root: Path, name: str) -> None:
    """Four grey videos of 16 frames, listed for training and for testing."""
    folder = root / name
    folder.mkdir()
    for index in range(4):
        writer = cv2.VideoWriter(
            str(folder / f"{index}.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 8, (28, 28)
        )
        for value in range(16):
            writer.write(np.full((28, 28, 3), 10 * value, np.uint8))
        writer.release()
    lines = "".join(f"{index}.mp4 {index}\n" for index in range(4))
    for part in ("train", "test"):
        (folder / f"{part}.txt").write_text(lines)


def tiny_config(name: str, data: str) -> Config:
    """A shipped config with a tiny backbone and data from the folder ``data``."""
    cfg = Config.fromfile(CONFIGS / name)
    cfg.model.backbone.update(arch=TINY_ARCH, init_cfg=None)
    cfg.work_dir, cfg.log_level = "run", "ERROR"
    loop = "max_iters" if "max_iters" in cfg.train_cfg else "max_epochs"
    cfg.train_cfg.update({loop: 1, "val_interval": 1})
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.batch_size = 2
        if "data_root" in loader.dataset:
            loader.dataset.data_root = data
        else:
            loader.dataset.ann_file = f"{data}/{Path(loader.dataset.ann_file).name}"
            loader.dataset.data_prefix = dict(video=data)
    return cfg


def prepare(root: Path) -> None:
    """Write sound data, configs and checkpoints, and beside them those that are not.

    Args:
        root: The folder that the commands run in.
    """
    for name in ("data", "missing", "cut", "labels"):
        write_image_task(root, name, range(5, 11) if name == "labels" else range(6))
    (root / "missing/images/train800val200/3.png").unlink()
    cut(root / "cut/images/test/2.png")
    for name in ("scenes", "no_mask", "cut_mask", "odd_mask", "small_mask", "cut_scene"):
        write_scenes(root, name)
    (root / "no_mask/masks/train/1.png").unlink()
    cut(root / "cut_mask/masks/test/3.png")
    Image.new("L", (64, 64), 9).save(root / "odd_mask/masks/train/2.png")
    Image.new("L", (32, 64), 1).save(root / "small_mask/masks/train/0.png")
    cut(root / "cut_scene/images/train/1.png")
    for name in ("videos", "empty_video", "cut_video", "odd_video"):
        write_videos(root, name)
    (root / "empty_video/1.mp4").write_bytes(b"")
    cut(root / "cut_video/2.mp4")
    (root / "odd_video/test.txt").write_text("0.mp4 8\n")

    image = tiny_config("image/digits/vit-mini_dyt_digits.py", "data")
    image.model.head.in_channels = TINY_ARCH["embed_dims"]
    image.dump(root / "image.py")
    state = build_uninitialised(image).state_dict()
    torch.save(dict(state_dict=state, meta={}), root / "good.pth")
    scenes = tiny_config("segmentation/demo/dyt_vit-mini_fcn_fashion-scenes.py", "scenes")
    scenes.model.backbone.out_indices = [0, 1, 2]
    scenes.model.decode_head.update(in_channels=[TINY_ARCH["embed_dims"]] * 3, in_index=[0, 1, 2])
    scenes.dump(root / "scenes.py")
    videos = tiny_config("video/demo/dyt_vit-mini_motion.py", "videos")
    videos.model.cls_head.in_channels = TINY_ARCH["embed_dims"]
    videos.dump(root / "videos.py")
    text = (root / "image.py").read_text()
    (root / "syntax.py").write_text(text + "model = dict(\n")
    (root / "no_base.py").write_text("_base_ = 'nowhere.py'\n")
    (root / "no_model.py").write_text("work_dir = 'run'\n")
    (root / "config.txt").write_text(text)
    (root / "typo.py").write_text("_base_ = 'image.py'\ntest_evaluator = dict(topq=1)\n")
    (root / "no_scale.py").write_text(
        "_base_ = 'image.py'\nauto_scale_lr = dict(_delete_=True, enable=False)\n"
    )
    (root / "text.py").write_text(
        "_base_ = 'image.py'\nmodel = dict(dyt=dict(target_rate='0.5'))\n"
    )
    (root / "name.py").write_text("_base_ = 'image.py'\nmodel = dict(dyt=dict(target_rate=half))\n")

    for name, content in {
        "malformed": "images/test/0.png 0\nimages/test/1.png\n",
        "no_number": "images/test/0.png cat\n",
        "blank": "images/test/0.png 0\n\nimages/test/1.png 1\n",
        "void": "",
    }.items():
        (root / f"data/{name}.txt").write_text(content)
    (root / "data/binary.txt").write_bytes(b"\xff\xfe\x00\x80")
    (root / "videos/spaces.txt").write_text("a video.mp4 0\n")

    weights = {"cls_token": torch.zeros(1, 1, 8), "norm.weight": torch.ones(8)}
    torch.save(dict(state_dict=weights, meta={}), root / "other.pth")
    torch.save(dict(state_dict=weights, meta={}), root / "cut.pth")
    cut(root / "cut.pth")
    (root / "empty.pth").touch()
    (root / "garbage.pth").write_bytes(b"no weights at all" * 9)
    (root / "garbage.safetensors").write_bytes(b"no weights at all" * 9)
    (root / "garbage.npz").write_bytes(b"no weights at all" * 9)
    (root / "number.pth").write_bytes(b"")
    torch.save(3, root / "number.pth")
    torch.save(timm_weights(), root / "timm.pth")
    torch.save(timm_weights() | {"norm.weight": torch.full((8,), torch.nan)}, root / "nan.pth")
    torch.save(timm_weights() | {"blocks.0.ls1.gamma": torch.ones(8)}, root / "scaled.pth")
    torch.save(timm_weights() | {"pos_embed": torch.zeros(1, 4, 8)}, root / "square.pth")
    lacking = timm_weights()
    del lacking["blocks.0.mlp.fc2.bias"]
    torch.save(lacking, root / "lacking.pth")
    (root / "text.json").write_text("accuracy 90")
    (root / "suite.py").write_text("title = 'x'\n")
    (root / "folder").mkdir()
    (root / "out.json").mkdir()
    torch.save(nn.Linear(2, 2), root / "code.pth")


def cut(path: Path) -> None:
    """Leave the first half of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def timm_weights() -> dict[str, torch.Tensor]:
    """A ViT of one layer, 8 wide, under timm's names."""
    shapes = {
        "patch_embed.proj": (8, 3, 2, 2),
        "norm": (8,),
        "blocks.0.norm1": (8,),
        "blocks.0.attn.qkv": (24, 8),
        "blocks.0.attn.proj": (8, 8),
        "blocks.0.norm2": (8,),
        "blocks.0.mlp.fc1": (16, 8),
        "blocks.0.mlp.fc2": (8, 16),
    }
    weights = {"cls_token": torch.zeros(1, 1, 8), "pos_embed": torch.zeros(1, 5, 8)}
    for name, shape in shapes.items():
        weights |= {f"{name}.weight": torch.ones(shape), f"{name}.bias": torch.zeros(shape[0])}
    return weights
