"""Dynamic Tuning in mmsegmentation: losses, inference, weights, bad input, figures."""

from itertools import product

import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from PIL import Image
from torch import nn

pytest.importorskip("mmseg")

from mmseg.registry import DATASETS, MODELS
from mmseg.structures import SegDataSample

from mmdyt.datasets.fashion_scenes import write_fashion_scenes
from mmdyt.engine.budgets import evaluation_runner, measure_budgets
from mmdyt.evaluation import CostAccount
from mmdyt.models.losses import logit_distill_loss
from mmdyt.models.utils import (
    collect_dispatch,
    dispatch_mode,
    dispatched_layers,
    keep_norm_statistics,
    trainable_names,
)
from tests.conftest import randomise_adapters

ARCH = dict(embed_dims=32, num_layers=4, num_heads=4, feedforward_channels=64)
CLASSES = 3
IGNORE = 255


@pytest.fixture(autouse=True)
def _mmseg_scope(_seeded_default_scope):
    import mmdyt.integrations.mmseg  # noqa: F401

    init_default_scope("mmseg")


def backbone(**overrides) -> dict:
    """4 layers, 32 x 32 px with patch 4: 64 + 1 tokens, all layers out."""
    config = dict(
        type="mmdyt.DyTViT",
        arch=ARCH,
        img_size=32,
        patch_size=4,
        out_type="featmap",
        out_indices=[0, 1, 2, 3],
        final_norm=False,
    )
    return config | overrides


def segmentor(backbone_args: dict | None = None, **overrides) -> nn.Module:
    """A tiny UPerNet with the parts of the real one."""
    norm = dict(type="BN")
    head = dict(num_classes=CLASSES, norm_cfg=norm, align_corners=False, dropout_ratio=0.0)
    config = dict(
        type="mmdyt.DyTEncoderDecoder",
        data_preprocessor=dict(type="SegDataPreProcessor", size=(32, 32), seg_pad_val=IGNORE),
        backbone=backbone(**(backbone_args or {})),
        neck=dict(type="Feature2Pyramid", embed_dim=32, norm_cfg=norm),
        decode_head=dict(
            type="UPerHead",
            in_channels=[32] * 4,
            in_index=[0, 1, 2, 3],
            pool_scales=(1, 2),
            channels=8,
            **head,
        ),
        auxiliary_head=dict(
            type="FCNHead", in_channels=32, in_index=2, channels=8, num_convs=1, **head
        ),
        test_cfg=dict(mode="whole"),
    )
    return MODELS.build(ConfigDict(config | overrides))


def batch(labels: torch.Tensor | None = None, size: int = 32) -> tuple[torch.Tensor, list]:
    """Two images with random labels, or with those given."""
    if labels is None:
        labels = torch.randint(CLASSES, (2, size, size))
    samples = []
    for one in labels:
        shape = dict(img_shape=(size, size), ori_shape=(size, size), pad_shape=(size, size))
        sample = SegDataSample(metainfo=shape | dict(padding_size=[0, 0, 0, 0]))
        sample.gt_sem_seg = PixelData(data=one[None])
        samples.append(sample)
    return torch.randn(2, 3, size, size), samples


def batch_norms(model: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


def decide(model: nn.Module, logit: float) -> None:
    """Make every dispatcher say the same for every token."""
    for layer in dispatched_layers(model):
        for dispatcher in layer.dispatcher.values():
            nn.init.zeros_(dispatcher.proj.weight)
            nn.init.constant_(dispatcher.proj.bias, logit)


# --- Losses ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dyt", [None, dict(target_rate=0.3)])
def test_the_default_is_the_dynamic_loss_and_the_rate_loss(dyt):
    model = segmentor(dyt=dyt)
    assert set(model.loss(*batch())) == {
        "dynamic.decode.loss_ce",
        "dynamic.decode.acc_seg",
        "dynamic.aux.loss_ce",
        "dynamic.aux.acc_seg",
        "rate_loss",
        "activation_rate",
    }
    assert model.objective.target_rate == (0.3 if dyt else 0.5)


def test_the_full_loss_is_opt_in_and_updates_batch_norms_once():
    model = segmentor(dyt=dict(complete_weight=1.0, distill_weight=1.0)).train()
    losses = model.loss(*batch())
    assert {"complete.decode.loss_ce", "complete.aux.loss_ce", "distill_loss"} <= set(losses)
    assert [int(norm.num_batches_tracked) for norm in batch_norms(model)] == [1] * len(
        batch_norms(model)
    )


def test_batch_norms_forget_a_pass_inside_the_context():
    norm = nn.BatchNorm2d(4).train()
    x = torch.randn(2, 4, 5, 5) + 3
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    with keep_norm_statistics(norm):
        inside = norm(x)
    assert all(torch.equal(before[name], value) for name, value in norm.state_dict().items())
    assert torch.equal(inside, norm(x))  # by the batch's statistics all the same
    assert norm.running_mean.mean() > 0.1


def test_distillation_is_a_mean_over_pixels_that_count():
    dynamic, complete = torch.randn(2, CLASSES, 4, 4), torch.randn(2, CLASSES, 4, 4)
    single = logit_distill_loss(dynamic, complete)
    wide = logit_distill_loss(dynamic.repeat(1, 1, 3, 3), complete.repeat(1, 1, 3, 3))
    assert torch.allclose(single, wide)

    mask = torch.zeros(2, 4, 4, dtype=torch.bool)
    mask[:, :2] = True
    masked = logit_distill_loss(dynamic, complete, mask)
    assert torch.allclose(masked, logit_distill_loss(dynamic[:, :, :2], complete[:, :, :2]))
    assert logit_distill_loss(dynamic, complete, torch.zeros_like(mask)) == 0


def test_the_ignored_label_decides_at_the_resolution_of_the_logits():
    labels = torch.zeros(2, 32, 32, dtype=torch.long)
    labels[0, :, 16:] = IGNORE
    mask = segmentor().distill_mask(torch.zeros(2, CLASSES, 8, 8), batch(labels)[1])
    assert mask.shape == (2, 8, 8)
    assert mask[0, :, :4].all() and not mask[0, :, 4:].any() and mask[1].all()


def test_a_crop_with_nothing_to_learn_gives_a_loss_of_zero():
    model = segmentor(dyt=dict(complete_weight=1.0, distill_weight=1.0))
    losses = model.loss(*batch(torch.full((2, 32, 32), IGNORE)))
    for name, value in losses.items():
        assert torch.isfinite(value).all(), name
        if "loss" in name and name != "rate_loss":
            assert value == 0, name
    sum(value for name, value in losses.items() if "loss" in name).backward()
    assert all(
        torch.isfinite(param.grad).all() for param in model.parameters() if param.grad is not None
    )


def test_neck_and_heads_train_with_the_adapters_and_the_backbone_does_not():
    model = segmentor(dict(rel_pos_bias=True))
    new = ("adapter.", "dispatcher.", "rel_pos_bias.")
    for name in model.state_dict():
        if name not in dict(model.named_parameters()):
            continue
        expected = not name.startswith("backbone.") or any(part in name for part in new)
        assert (name in trainable_names(model)) == expected, name
    assert not any(n.startswith("backbone.") for n in trainable_names(segmentor(tuning="linear")))


# --- Inference ------------------------------------------------------------------------------


def test_slide_inference_counts_every_window():
    model = segmentor(test_cfg=dict(mode="slide", crop_size=(32, 32), stride=(16, 16))).eval()
    inputs, samples = batch(size=48)
    with torch.no_grad(), collect_dispatch(model) as records:
        results = model.predict(inputs, samples)
    assert results[0].pred_sem_seg.data.shape == (1, 48, 48)
    windows, layers = 4, 4
    assert [record.layer for record in records] == list(range(layers)) * windows
    assert all(record.mask.shape == (2, 65) for record in records)
    # Costs are per window: 4 windows of 2 images.
    flops = CostAccount(model).flops(records, inputs[:, :, :32, :32])
    assert flops.shape == (windows * 2,)


def test_slide_equals_whole_where_one_window_covers_the_image():
    model = segmentor(test_cfg=dict(mode="slide", crop_size=(32, 32), stride=(21, 21))).eval()
    randomise_adapters(model)
    inputs, samples = batch()
    with torch.no_grad():
        slide = model.predict(inputs, samples)[0].seg_logits.data
        model.test_cfg["mode"] = "whole"
        whole = model.predict(inputs, samples)[0].seg_logits.data
    assert torch.allclose(slide, whole, atol=1e-6)


@pytest.mark.parametrize("dispatch", ["mlp", "attn", "attn_mlp", "layer"])
def test_skipping_keeps_the_resolution(dispatch):
    """Feature maps are complete whether all, none or some of the tokens skip."""
    model = MODELS.build(backbone(dispatch=dispatch))
    model.eval()  # returns None
    randomise_adapters(model)
    images = torch.randn(2, 3, 32, 32)
    maps = {}
    with torch.no_grad():
        for name, logit in (("none skip", 100.0), ("all skip", -100.0)):
            decide(model, logit)
            maps[name] = model(images)
            with dispatch_mode(model, "masked"):
                for skipped, masked in zip(maps[name], model(images)):
                    assert torch.allclose(skipped, masked, atol=1e-5)
        with dispatch_mode(model, "complete"):
            complete = model(images)
    for several in maps.values():
        assert [tuple(one.shape) for one in several] == [(2, 32, 8, 8)] * 4
        assert all(torch.isfinite(one).all() for one in several)
    for one, other in zip(maps["none skip"], complete):
        assert torch.allclose(one, other, atol=1e-5)
    assert not torch.allclose(maps["all skip"][-1], complete[-1], atol=1e-2)


def test_a_skipped_token_is_itself_plus_its_adapter():
    layer = MODELS.build(backbone(dispatch="layer")).layers[0].eval()
    randomise_adapters(layer)
    x = torch.randn(2, 65, 32)
    with torch.no_grad(), collect_dispatch(layer) as records:
        out = layer(x)
        skipped = ~records[0].mask
        expected = x + layer.adapter["layer"](x)
    assert 0 < skipped.sum() < skipped.numel()
    assert torch.allclose(out[skipped], expected[skipped], atol=1e-6)
    assert not torch.allclose(out[~skipped], expected[~skipped], atol=1e-3)


# --- Weights --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [64, (64, 32)])
def test_a_classifier_of_smaller_images_initialises_the_backbone(tmp_path, size):
    """The position embedding is resized on the way, to any shape of image."""
    small = MODELS.build(
        dict(type="mmpretrain.VisionTransformer", arch=ARCH, img_size=32, patch_size=4)
    )
    nn.init.normal_(small.pos_embed)
    path = tmp_path / "classifier.pth"
    torch.save({f"backbone.{name}": value for name, value in small.state_dict().items()}, path)

    init = dict(type="Pretrained", checkpoint=str(path), prefix="backbone.")
    model = segmentor(dict(img_size=size, init_cfg=init))
    model.init_weights()
    rows, columns = model.backbone.patch_resolution
    assert model.backbone.pos_embed.shape == (1, rows * columns + 1, 32)
    assert torch.equal(model.backbone.pos_embed[:, 0], small.pos_embed[:, 0])
    assert torch.equal(
        model.backbone.layers[3].ffn.layers[1].weight, small.layers[3].ffn.layers[1].weight
    )
    images = torch.randn(1, 3, 4 * rows, 4 * columns)
    assert model.backbone(images)[0].shape == (
        1,
        32,
        rows,
        columns,
    )


def test_a_relative_position_bias_starts_at_zero_and_depends_on_distance_only():
    plain = MODELS.build(backbone(dispatch=None, adapter=None))
    model = MODELS.build(backbone(dispatch=None, adapter=None, rel_pos_bias=True))
    missing, unexpected = model.load_state_dict(plain.state_dict(), strict=False)
    assert unexpected == [] and all(name.endswith("rel_pos_bias.table") for name in missing)
    plain.eval(), model.eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        for one, other in zip(plain(images), model(images)):
            assert torch.allclose(one, other, atol=1e-5)

        part = model.layers[0].attn.rel_pos_bias
        nn.init.normal_(part.table)
        assert not torch.allclose(plain(images)[0], model(images)[0], atol=1e-2)
        bias = part()[0]  # (H, N, N)
    patches = bias[:, 1:, 1:].reshape(-1, 8, 8, 8, 8)
    assert torch.equal(patches[:, 0, 0, 2, 3], patches[:, 5, 4, 7, 7])  # both 2 down, 3 right
    assert not torch.equal(patches[:, 0, 0, 2, 3], patches[:, 7, 7, 5, 4])  # the way back
    assert part.table.shape == (15 * 15 + 3, 4)
    with pytest.raises(ValueError, match=r"built for 65 tokens, got 145"):
        model(torch.randn(1, 3, 48, 48))


@pytest.mark.parametrize("dispatch", ["attn", "attn_mlp", "layer"])
def test_a_relative_position_bias_refuses_dispatched_attention(dispatch):
    with pytest.raises(ValueError, match=rf"rel_pos_bias.*'mlp' or None, got '{dispatch}'"):
        MODELS.build(backbone(dispatch=dispatch, rel_pos_bias=True))


# --- Bad input ------------------------------------------------------------------------------


def data_set(tmp_path, image: np.ndarray, mask: np.ndarray, crop: int = 32):
    """One image with its mask on disk, read as the configs do."""
    for name, array in (("img", image), ("seg", mask)):
        (tmp_path / name).mkdir()
        Image.fromarray(array).save(tmp_path / name / "scene.png")
    pipeline = [
        dict(type="LoadImageFromFile"),
        dict(type="LoadAnnotations"),
        dict(type="mmdyt.CheckSegLabels", num_classes=CLASSES),
        dict(type="RandomCrop", crop_size=(crop, crop), cat_max_ratio=0.75),
        dict(type="PackSegInputs"),
    ]
    return DATASETS.build(
        dict(
            type="BaseSegDataset",
            data_root=str(tmp_path),
            data_prefix=dict(img_path="img", seg_map_path="seg"),
            img_suffix=".png",
            metainfo=dict(classes=["a", "b", "c"]),
            pipeline=pipeline,
        )
    )


def test_labels_outside_the_classes_are_named_with_their_file(tmp_path):
    mask = np.zeros((40, 40), np.uint8)
    mask[0, :3] = (2, IGNORE, 7)
    with pytest.raises(ValueError, match=r"scene\.png: labels \[7\] are outside the 3 classes"):
        data_set(tmp_path, np.zeros((40, 40, 3), np.uint8), mask)[0]


def test_a_mask_of_another_size_is_named_with_its_file(tmp_path):
    scenes = data_set(tmp_path, np.zeros((40, 40, 3), np.uint8), np.zeros((40, 30), np.uint8))
    with pytest.raises(ValueError, match=r"scene\.png: the mask is \(40, 30\).*is \(40, 40\)"):
        scenes[0]


def test_images_smaller_than_the_crop_are_padded_with_the_ignored_label(tmp_path):
    image = np.full((20, 26, 3), 200, np.uint8)
    sample = data_set(tmp_path, image, np.ones((20, 26), np.uint8))[0]
    model = segmentor()
    packed = dict(inputs=[sample["inputs"]] * 2, data_samples=[sample["data_samples"]] * 2)
    data = model.data_preprocessor(packed, training=True)
    label = data["data_samples"][0].gt_sem_seg.data[0]
    assert data["inputs"].shape == (2, 3, 32, 32) and label.shape == (32, 32)
    assert (label[:20, :26] == 1).all() and (label == IGNORE).sum() == 32 * 32 - 20 * 26
    losses = model.loss(data["inputs"], data["data_samples"])
    assert all(torch.isfinite(value).all() for value in losses.values())


# --- Configs and figures --------------------------------------------------------------------

FOLDER = "configs/segmentation"
ADE20K = FOLDER + "/ade20k/upernet_{}-vit-b16_8xb2-160k_ade20k-512x512.py"
SETS = {"ade20k": (150, 160_000), "coco_stuff164k": (171, 80_000)}
METHODS = ("dyt", "dyt-moe4", "adaptformer", "lora", "linear", "full")


def on_meta(config: Config) -> nn.Module:
    """Build a full-size model without memory or time."""
    backbone = config.model.backbone
    if "module" in backbone:  # LoRA initialises its backbone at once: a small one, for real
        backbone.module.update(arch=ARCH, init_cfg=None, out_indices=[0, 1, 2, 3])
        return MODELS.build(config.model)
    with torch.device("meta"):
        return MODELS.build(config.model)


def test_configs_of_every_method_build(subtests):
    for name, method in product(SETS, METHODS):
        with subtests.test(f"{method} on {name}"):
            check_config(name, method)


def check_config(name: str, method: str) -> None:
    classes, iterations = SETS[name]
    config = Config.fromfile(
        f"{FOLDER}/{name}/upernet_{method}-vit-b16_8xb2-{iterations // 1000}k_{name}-512x512.py"
    )
    model = on_meta(config)
    assert model.decode_head.num_classes == model.auxiliary_head.num_classes == classes
    for loader in (config.train_dataloader, config.val_dataloader):
        checks = [one for one in loader.dataset.pipeline if one["type"] == "mmdyt.CheckSegLabels"]
        assert [one["num_classes"] for one in checks] == [classes]
    assert config.train_cfg.max_iters == config.param_scheduler[-1]["end"] == iterations
    optimiser = config.optim_wrapper.optimizer
    assert (optimiser.type, optimiser.weight_decay) == ("AdamW", 0.05)
    backbone_trains = any(name.startswith("backbone.") for name in trainable_names(model))
    assert backbone_trains == (method != "linear")


def test_configs_of_further_data_sets_build(subtests):
    for name in ("cityscapes", "pascal_voc12"):
        with subtests.test(name):
            path = f"{FOLDER}/{name}/upernet_dyt-vit-b16_8xb2-80k_{name}-512x512.py"
            config = Config.fromfile(path)
            assert on_meta(config).decode_head.num_classes == config.num_classes


@pytest.mark.long
@pytest.mark.parametrize(("method", "gflops"), [("linear", 605.36), ("dyt", 606.57)])
def test_the_cost_is_that_of_the_paper(method, gflops):
    """Method section 5, UPerNet at 512 x 512: the dense model, and DyT with all tokens active.

    The latter is AdaptFormer. DyT's own figure needs a rate, which the docs discuss.
    """
    model = MODELS.build(Config.fromfile(ADE20K.format(method)).model)
    account = CostAccount(model)
    inputs = torch.zeros(1, 3, 512, 512)
    full = account.complete(inputs)
    assert full.flops / 1e9 == pytest.approx(gflops, rel=5e-4)
    parts = {name: full.by_module[name] / 1e9 for name in ("backbone", "neck", "decode_head")}
    # What is outside of the three enlarges the logits to the image: under a thousandth.
    assert 0 <= full.flops / 1e9 - sum(parts.values()) < 1e-3 * gflops
    assert parts["neck"] == pytest.approx(14.5, rel=1e-3)
    assert parts["decode_head"] == pytest.approx(483.54, rel=1e-3)
    if method == "dyt":
        assert account.flops_at_rate(inputs, 0.62) / 1e9 == pytest.approx(584.57, rel=1e-3)


@pytest.mark.long
def test_a_runner_trains_and_reports_on_composed_scenes(tmp_path, monkeypatch):
    """The demo's config, two iterations of it on a few scenes."""
    from mmengine.runner import Runner

    from mmdyt.datasets import fashion_scenes

    monkeypatch.setattr(fashion_scenes, "NUM_SCENES", {"train": 4, "test": 4})
    write_fashion_scenes(tmp_path)
    config = Config.fromfile(f"{FOLDER}/demo/dyt_vit-mini_fcn_fashion-scenes.py")
    config.merge_from_dict(
        dict(
            work_dir=str(tmp_path / "run"),
            train_cfg=dict(max_iters=2, val_interval=2),
            train_dataloader=dict(batch_size=2, dataset=dict(data_root=str(tmp_path))),
            val_dataloader=dict(batch_size=2, dataset=dict(data_root=str(tmp_path))),
            test_dataloader=dict(batch_size=2, dataset=dict(data_root=str(tmp_path))),
        )
    )
    runner = Runner.from_cfg(config)
    runner.train()
    metrics = runner.test()
    assert {"mIoU", "IoU/background", "dispatch/gflops", "dispatch/activation_rate"} <= set(metrics)
    assert 0 <= metrics["dispatch/activation_rate"] <= 1
    assert (tmp_path / "run" / "adapter.safetensors").is_file()
    checkpoint = (tmp_path / "run/last_checkpoint").read_text()
    again = evaluation_runner(config.copy(), checkpoint, str(tmp_path / "budgets"))
    table = measure_budgets(again, 2, "mIoU")
    assert table["metric"] == "mIoU" and table["images"] == 4
    assert table["points"][0]["rate"] < table["points"][1]["rate"]


# --- Adapter files --------------------------------------------------------------------------


def test_init_model_takes_an_adapter_file(tmp_path):
    """It calls no ``init_weights``: the base has to come with the file."""
    from mmseg.apis import init_model

    import mmdyt

    plain = MODELS.build(backbone(dispatch=None, adapter=None))
    torch.save(plain.state_dict(), tmp_path / "base.pth")
    init_cfg = dict(type="Pretrained", checkpoint=str(tmp_path / "base.pth"))
    model = segmentor(dict(init_cfg=init_cfg))
    model.init_weights()
    randomise_adapters(model)
    for norm in batch_norms(model):
        nn.init.normal_(norm.running_mean)
    file = str(tmp_path / "adapter.safetensors")
    meta = dict(classes=("a", "b", "c"), palette=[[0, 0, 0]] * 3)
    mmdyt.save_adapter(model, file, dataset_meta=meta)
    cfg = Config(dict(model=model.built_from, default_scope="mmseg"))
    images = torch.randn(1, 3, 32, 32)
    model.eval()
    for loaded in (init_model(cfg, file, device="cpu"), mmdyt.load_adapter(file)):
        assert loaded.dataset_meta["classes"] == ["a", "b", "c"]
        with torch.no_grad():
            torch.testing.assert_close(loaded(images), model(images), rtol=0, atol=1e-6)
    cfg.model.decode_head.num_classes = 2
    with pytest.raises(ValueError, match=r"decode_head\.num_classes: 3 in the file, 2"):
        init_model(cfg, file, device="cpu")
