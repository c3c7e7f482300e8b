"""Predictions and token maps of own files, with the inferencers of three libraries."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain import ImageClassificationInferencer
from PIL import Image

import mmdyt
from mmdyt.datasets.video_motion import write_video
from mmdyt.engine.inferencer import UnreadableInputError
from mmdyt.evaluation import CostAccount
from mmdyt.models.utils import collect_dispatch
from tests.conftest import CONFIGS, TINY_ARCH, build, randomise_adapters, tiny_classifier
from tests.test_models.helpers import spread_dispatch

NORMALISED = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
PIPELINE = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(28, 28)),
    dict(type="PackInputs"),
]


@pytest.fixture
def photo(tmp_path):
    """A picture whose corner pixel is reddish, so that exchanged channels show."""
    pixels = noise(40, 56)
    pixels[:8, :8] = (250, 60, 10)
    Image.fromarray(pixels).save(path := tmp_path / "photo.png")
    return path


def stirred(model):
    """A model whose dispatchers tell tokens apart and whose adapters matter."""
    randomise_adapters(model)
    spread_dispatch(model)
    return model.eval()


@pytest.fixture
def adapter(tmp_path):
    plain = build(dict(type="VisionTransformer", arch=TINY_ARCH, img_size=28, patch_size=4))
    plain.init_weights()
    torch.save(plain.state_dict(), tmp_path / "base.pth")
    base = dict(type="Pretrained", checkpoint=str(tmp_path / "base.pth"))
    config = tiny_classifier(dict(init_cfg=base), data_preprocessor=dict(NORMALISED))
    model = build(config)
    model.init_weights()
    classes = [f"class {index}" for index in range(10)]
    file = tmp_path / "adapter.safetensors"
    mmdyt.save_adapter(
        stirred(model), file, dataset_meta=dict(classes=classes), test_pipeline=PIPELINE
    )
    return file


def test_a_classifier_predicts_as_the_library_does(adapter, photo, tmp_path):
    infer = mmdyt.inferencer(adapter, device="cpu")
    assert isinstance(infer.host, ImageClassificationInferencer)
    (result,) = infer(photo)
    assert set(result) == {"pred_scores", "pred_label", "pred_score", "pred_class"}
    (expected,) = infer.host(str(photo))
    np.testing.assert_array_equal(result["pred_scores"], expected["pred_scores"])
    assert result["pred_class"] == expected["pred_class"] == f"class {result['pred_label']}"
    several = infer([photo, str(photo), np.asarray(Image.open(photo))[..., ::-1]], batch_size=2)
    for other in several:  # paths and BGR arrays, alone and in batches
        np.testing.assert_allclose(other["pred_scores"], result["pred_scores"], atol=1e-6)


def test_an_image_of_pil_is_read_as_its_file_is(adapter, photo, tmp_path):
    infer = mmdyt.inferencer(adapter, device="cpu")
    turned = tmp_path / "turned.png"
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held sideways
    Image.open(photo).convert("RGBA").save(turned, exif=exif)
    for path in (photo, turned):
        one, other = infer([path, Image.open(path)])
        np.testing.assert_allclose(one["pred_scores"], other["pred_scores"], atol=1e-6)


def test_a_folder_stands_for_its_images_by_name(adapter, photo, tmp_path):
    infer = mmdyt.inferencer(adapter, device="cpu")
    (folder := tmp_path / "my images").mkdir()
    for index in (2, 1, 0):
        Image.fromarray(noise(30 + index, 40)).save(folder / f"{index}.png")
    (folder / "README.txt").write_text("no image")
    results = infer(folder)
    assert [result["path"] for result in results] == [str(folder / f"{i}.png") for i in range(3)]
    for result in infer(folder, token_maps=True):
        (alone,) = infer(result["path"])
        np.testing.assert_allclose(result["pred_scores"], alone["pred_scores"], atol=1e-6)
    (empty := tmp_path / "empty").mkdir()
    with pytest.raises(UnreadableInputError, match="a folder without images"):
        infer(empty)


def test_16_bits_of_grey_are_read_as_from_the_file(adapter, tmp_path):
    infer = mmdyt.inferencer(adapter, device="cpu")
    deep = np.random.RandomState(0).randint(0, 2**16, (40, 56), dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    one, other = infer([tmp_path / "deep.png", Image.open(tmp_path / "deep.png")])
    np.testing.assert_allclose(one["pred_scores"], other["pred_scores"], atol=1e-3)


def test_transforms_named_with_their_module_are_found(adapter, photo, tmp_path):
    infer = mmdyt.inferencer(adapter, device="cpu")
    loader = dict(type="mmcv.transforms.loading.LoadImageFromFile")
    mmdyt.save_adapter(
        infer.model, tmp_path / "lazy.safetensors", test_pipeline=[loader, *PIPELINE[1:]]
    )
    (one,), (other,) = infer(photo), mmdyt.inferencer(tmp_path / "lazy.safetensors")(photo)
    np.testing.assert_allclose(one["pred_scores"], other["pred_scores"], atol=1e-6)


def test_what_is_no_input_is_named(adapter, photo, tmp_path, subtests):
    infer = mmdyt.inferencer(adapter, device="cpu")
    assert infer([]) == []
    image = np.asarray(Image.open(photo))
    (tmp_path / "empty.png").touch()
    for inputs, told in (
        (image[..., 0], r"an image must be a BGR array.*got \(40, 56\), uint8"),
        (image / 255, r"must be a BGR array of \(H, W, 3\), uint8, got .* float64"),
        (image[:0], r"got \(0, 56, 3\)"),
        (torch.zeros(3, 28, 28), "must be a path, a PIL image or a BGR array, got Tensor"),
        ([photo, None], "got NoneType"),
        ([[photo]], "got list"),
        ([photo, tmp_path / "empty.png"], r"empty\.png: .*"),
    ):
        with subtests.test(told), pytest.raises(UnreadableInputError, match=told):
            infer(inputs)
    for source, error, told in (
        (None, TypeError, "source must be an adapter file.*, got NoneType"),
        (torch.nn.Linear(1, 1), TypeError, "got Linear"),
        (tmp_path / "base.pth", ValueError, r"base\.pth is no adapter file.*goes with its config"),
        (tmp_path / "nothing.safetensors", FileNotFoundError, "no checkpoint at"),
    ):
        with subtests.test(told), pytest.raises(error, match=told):
            mmdyt.inferencer(source)
    with pytest.raises(TypeError, match="must be given by its path, got Linear"):
        mmdyt.load_adapter(torch.nn.Linear(1, 1))


def test_a_config_of_ours_is_found_from_any_folder(photo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = "configs/image/digits/vit-mini_dyt_digits.py"
    assert mmdyt.inferencer(config, device="cpu")(photo)[0]["pred_class"] in map(str, range(10))
    assert mmdyt.dynamic_tuning(config, num_classes=2).backbone.is_filled


def test_token_maps_rate_and_flops_are_those_of_the_input(adapter, photo):
    infer = mmdyt.inferencer(adapter, device="cpu")
    (result,) = infer(photo, token_maps=True)
    assert result["images"].shape == (1, 28, 28, 3) and list(result["token_maps"]) == [
        f"mlp {layer}" for layer in range(3)
    ]
    red, green, blue = result["images"][0, 0, 0]
    assert abs(int(red) - 250) < 12 and red > green > blue
    mean, std = (np.array(NORMALISED[name]) for name in ("mean", "std"))
    images = torch.from_numpy((result["images"] - mean) / std).float().permute(0, 3, 1, 2)
    with torch.no_grad(), collect_dispatch(infer.model) as records:
        infer.model(images)
    for record, maps in zip(records, result["token_maps"].values()):
        np.testing.assert_array_equal(maps.ravel(), record.mask[0, 1:].numpy())
    flops = CostAccount(infer.model).flops(records, images)
    assert result["gflops"] == pytest.approx(float(flops) / 1e9)
    rates = [float(record.rate()) for record in records]
    assert result["activation_rate"] == pytest.approx(sum(rates) / 3) and min(rates) > 0


def test_unreadable_files_and_missing_pipelines_are_named(adapter, photo, tmp_path):
    infer = mmdyt.inferencer(adapter, device="cpu")
    (broken := tmp_path / "broken.jpg").write_bytes(b"no image")
    for path in (broken, tmp_path / "missing.jpg"):
        with pytest.raises(UnreadableInputError, match=path.name):
            infer(path)
    infer.model.test_pipeline = None
    with pytest.raises(ValueError, match="does not say how a sample is read: give test_pipeline"):
        mmdyt.inferencer(infer.model)
    with pytest.raises(ValueError, match="needs the config of its run"):
        mmdyt.inferencer(adapter, "a.pth")
    evil = [*PIPELINE, dict(type="os.system")]
    mmdyt.save_adapter(infer.model, tmp_path / "evil.safetensors", test_pipeline=evil)
    with pytest.raises(ValueError, match="which is no registered transform"):
        mmdyt.inferencer(tmp_path / "evil.safetensors")


def noise(*shape: int) -> np.ndarray:
    return np.random.RandomState(0).randint(0, 256, (*shape, 3), dtype=np.uint8)


def from_config(path: str, tmp_path, **options):
    """An inferencer of a config with random weights that matter, and its scope restored."""
    cfg = Config.fromfile(CONFIGS / path)
    cfg.merge_from_dict({"model.backbone.arch": TINY_ARCH, "model.backbone.init_cfg": None})
    cfg.merge_from_dict(options)
    before = DefaultScope.get_current_instance().scope_name
    infer = mmdyt.inferencer(cfg, device="cpu")
    assert DefaultScope.get_current_instance().scope_name == before
    stirred(infer.model)
    return infer


def test_segmentation_gives_masks_in_the_size_of_the_image(tmp_path):
    images = [tmp_path / "one.png", tmp_path / "two.png"]
    for path in images:
        Image.fromarray(noise(64, 64)).save(path)
    head = {"model.decode_head.in_channels": [32] * 2, "model.decode_head.in_index": [0, 1]}
    options = head | {"model.backbone.out_indices": [1, 2]}
    infer = from_config("segmentation/demo/dyt_vit-mini_fcn_fashion-scenes.py", tmp_path, **options)
    results = infer(images, token_maps=True)
    assert len(results) == 2 and infer.classes[0] == "background"
    for result in results:
        assert result["pred_sem_seg"].shape == (64, 64)
        assert {maps.shape for maps in result["token_maps"].values()} == {(1, 16, 16)}
        assert 0 < result["activation_rate"] < 1 and result["gflops"] > 0
    pixels = np.asarray(Image.open(images[0]))
    assert np.abs(results[0]["images"][0].astype(int) - pixels).max() <= 1
    (plain,) = infer(images[0])
    np.testing.assert_array_equal(plain["pred_sem_seg"], results[0]["pred_sem_seg"])


def test_slide_inference_has_a_map_for_every_window(tmp_path):
    Image.fromarray(noise(64, 64)).save(image := tmp_path / "one.png")
    options = {
        "model.decode_head.in_channels": [32] * 2,
        "model.decode_head.in_index": [0, 1],
        "model.backbone.out_indices": [1, 2],
        "model.backbone.img_size": 32,
        "model.test_cfg": dict(mode="slide", crop_size=(32, 32), stride=(32, 32)),
    }
    infer = from_config("segmentation/demo/dyt_vit-mini_fcn_fashion-scenes.py", tmp_path, **options)
    (result,) = infer(image, token_maps=True)
    assert {maps.shape for maps in result["token_maps"].values()} == {(4, 8, 8)}
    assert result["images"].shape == (4, 32, 32, 3)
    pixels = np.asarray(Image.open(image)).astype(int)
    assert np.abs(result["images"][1] - pixels[:32, 32:]).max() <= 1


def test_videos_have_a_map_for_every_frame(tmp_path):
    write_video(video := tmp_path / "clip.mp4", noise(16, 28, 28))
    options = {"model.cls_head.in_channels": 32}
    infer = from_config("video/demo/dyt_vit-mini_motion.py", tmp_path, **options)
    (result,) = infer(video, token_maps=True)
    assert result["pred_scores"].shape == (8,) and result["pred_scores"].sum() == pytest.approx(1)
    assert {maps.shape for maps in result["token_maps"].values()} == {(8, 7, 7)}
    assert result["images"].shape == (8, 28, 28, 3) and result["images"].std() > 10
    (plain,) = infer(str(video))
    np.testing.assert_allclose(plain["pred_scores"], result["pred_scores"], atol=1e-6)
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(UnreadableInputError):
        infer(tmp_path / "broken.mp4")


def test_what_does_not_fit_is_refused_before_it_runs(adapter, photo, tmp_path):
    infer = mmdyt.inferencer(adapter, device="cpu")
    for image in (noise(28, 28)[..., 0], noise(28, 28).transpose(2, 0, 1)):
        with pytest.raises(UnreadableInputError, match=r"array of \(H, W, 3\), uint8, got \("):
            infer([photo, image])
    with pytest.raises(ValueError, match="batch_size must be an integer in"):
        infer(photo, batch_size=0)
    for source in (CONFIGS / "image/digits/vit-mini_dyt_digits.py", mmdyt.load_adapter(adapter)):
        with pytest.raises(ValueError, match=r"base='base\.pth' needs an adapter file as source"):
            mmdyt.inferencer(source, base="base.pth")


def test_too_few_class_names_are_left_out_with_a_warning(adapter, photo, tmp_path):
    model = mmdyt.load_adapter(adapter)
    mmdyt.save_adapter(model, tmp_path / "few.safetensors", dataset_meta=dict(classes=["a", "b"]))
    infer = mmdyt.inferencer(tmp_path / "few.safetensors", device="cpu")
    with pytest.warns(UserWarning, match="names 2 classes and the model has 10"):
        (result,) = infer(photo)
    assert "pred_class" not in result and result["pred_scores"].shape == (10,)


def test_a_model_can_be_tuned_anew_after_it_has_predicted(adapter):
    model = mmdyt.load_adapter(adapter)
    mmdyt.inferencer(model, device="cpu")
    assert mmdyt.dynamic_tuning(model, num_classes=3).head.fc.out_features == 3
