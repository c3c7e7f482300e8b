"""Dynamic Tuning in mmdetection: every family of detectors, losses, data, figures."""

import json
import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.config import Config, ConfigDict
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from PIL import Image
from torch import nn
from torch.nn.parallel import DistributedDataParallel

if find_spec("mmdet") is None:
    pytest.skip("needs requirements/detection.txt", allow_module_level=True)
else:
    import_module("mmdyt.integrations.mmdet")  # before mmdetection, which it gives its operators

import mmdet.models.detectors as hosts
from mmdet.registry import DATASETS, MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks

import mmdyt
from mmdyt.datasets.fashion_detection import scene_objects
from mmdyt.datasets.preflight import find_problems
from mmdyt.evaluation import CostAccount
from mmdyt.integrations.mmdet import DyTDetectorMixin
from mmdyt.models.necks import SimpleFeaturePyramid
from mmdyt.models.utils import capture, collect_dispatch, trainable_names
from tests.conftest import CONFIGS

ARCH = dict(embed_dims=32, num_layers=3, num_heads=4, feedforward_channels=64)
SIZE, CLASSES = 64, 3
ZOO = Path(hosts.__file__).parents[2] / ".mim/configs"
STRIDES = [4, 8, 16, 32, 64]
MAPPER = dict(type="ChannelMapper", in_channels=[32], kernel_size=1, out_channels=32)
# Detectors as mmdetection publishes them, and what our maps need to be told.
FAMILIES = {
    "MaskRCNN": ("mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py", {}),
    "FasterRCNN": ("faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py", {}),
    "CascadeRCNN": ("cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py", {}),
    "HybridTaskCascade": ("htc/htc-without-semantic_r50_fpn_1x_coco.py", {}),
    "RPN": ("rpn/rpn_r50_fpn_1x_coco.py", {}),
    "RetinaNet": (
        "retinanet/retinanet_r50_fpn_1x_coco.py",
        {"bbox_head.anchor_generator.strides": STRIDES},
    ),
    "FCOS": (
        "fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py",
        {"bbox_head.strides": STRIDES, "bbox_head.norm_cfg": dict(type="GN", num_groups=8)},
    ),
    "DETR": ("detr/detr_r50_8xb2-150e_coco.py", {"neck": MAPPER | dict(num_outs=1)}),
    "DeformableDETR": (
        "deformable_detr/deformable-detr_r50_16xb2-50e_coco.py",
        {"neck": MAPPER | dict(num_outs=4), "bbox_head.embed_dims": 32},
    ),
}


@pytest.fixture(autouse=True)
def _mmdet_scope(_seeded_default_scope):
    init_default_scope("mmdet")


def backbone(**overrides) -> dict:
    """3 layers, 64 x 64 px with patch 16: 16 + 1 tokens, one map."""
    config = dict(
        type="mmdyt.DyTViT",
        arch=ARCH,
        img_size=SIZE,
        patch_size=16,
        out_type="featmap",
        final_norm=False,
    )
    return config | overrides


def shrink(node):
    """The same an eighth as wide, with 3 classes and few regions."""
    if isinstance(node, list):
        return [shrink(each) for each in node]
    if isinstance(node, dict):
        few = dict(num_classes=CLASSES, nms_pre=100, max_per_img=20)
        return {key: few.get(key, shrink(value)) for key, value in node.items()}
    narrow = {128: 16, 256: 32, 512: 64, 1024: 64, 2048: 64}
    return narrow.get(node, node) if isinstance(node, int) else node


def detector(family: str = "MaskRCNN", backbone_args: dict | None = None, **overrides) -> nn.Module:
    """A published detector over a tiny ViT, with fewer layers and regions."""
    path, changes = FAMILIES[family]
    model = Config.fromfile(ZOO / path).model
    config = Config(dict(model=shrink(model.to_dict())))
    options = {
        "neck": dict(type="mmdyt.SimpleFeaturePyramid", in_channels=32, out_channels=32)
    } | changes
    for key in ("backbone", "neck"):
        config.model.pop(key)
    config.merge_from_dict({f"model.{key}": value for key, value in options.items()})
    config.merge_from_dict(
        dict(model=dict(backbone=backbone(**(backbone_args or {})), **overrides))
    )
    for part in ("encoder", "decoder"):
        if part in config.model:
            config.model[part].num_layers = 1
    host = getattr(hosts, family)
    config.model.type = type(f"DyT{family}", (DyTDetectorMixin, host), {})
    model = MODELS.build(config.model)
    # As the Runner does: the level embedding of Deformable DETR is not even set before.
    model.init_weights()
    return model


def batch(counts: tuple[int, ...] = (2, 1)) -> tuple[torch.Tensor, list]:
    """Images with so many boxes and masks each."""
    samples = []
    for count in counts:
        shape = dict.fromkeys(
            ("img_shape", "ori_shape", "pad_shape", "batch_input_shape"), (SIZE, SIZE)
        )
        sample = DetDataSample(metainfo=shape | dict(scale_factor=(1.0, 1.0), img_id=len(samples)))
        corners = torch.rand(count, 2) * 30
        masks = torch.zeros(count, SIZE, SIZE, dtype=torch.uint8)
        boxes = torch.cat([corners, corners + 20], dim=1)  # (count, 4)
        for mask, (left, top, right, bottom) in zip(masks, boxes.int().tolist()):
            mask[top:bottom, left:right] = 1
        sample.gt_instances = InstanceData(
            bboxes=boxes,
            labels=torch.randint(CLASSES, (count,)),
            masks=BitmapMasks(masks.numpy(), SIZE, SIZE),
        )
        samples.append(sample)
    return torch.randn(len(counts), 3, SIZE, SIZE), samples


def total(losses: dict, model: nn.Module) -> torch.Tensor:
    return model.parse_losses(losses)[0]


# --- Families -------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_trains_predicts_and_counts(family):
    model = detector(family)
    inputs, samples = batch()
    losses = model.loss(inputs, samples)
    assert {"rate_loss", "activation_rate"} < set(losses)
    assert all(name.startswith("dynamic.") for name in losses if name.count("."))
    total(losses, model).backward()
    for name, param in model.named_parameters():
        own = not name.startswith("backbone.") or "adapter." in name or "dispatcher." in name
        assert param.requires_grad == own, name
        assert param.grad is None or torch.isfinite(param.grad).all(), name
    assert all(
        param.grad is not None for name, param in model.named_parameters() if "dispatcher." in name
    )

    model.eval()
    with torch.no_grad(), collect_dispatch(model) as records:
        results = model.predict(inputs, samples)
    assert len(results) == 2 and all("bboxes" in result.pred_instances for result in results)
    account = CostAccount(model)
    flops = account.flops(records, inputs)
    assert flops.shape == (2,) and (flops <= account.dense_flops(inputs) * 1.01).all()
    parts = account.complete(inputs).by_module
    assert parts["backbone"] > 0 and parts["neck"] > 0


def test_the_class_of_the_page_is_a_detector():
    (block,) = re.findall(
        r"^```python\n(.*?)^```", (CONFIGS.parent / "docs/detection.md").read_text(), re.S | re.M
    )
    found: dict = {}
    exec(block, found)
    assert MODELS.get("mmdyt.DyTRetinaNet") is found["DyTRetinaNet"]
    for parent in (DyTDetectorMixin, hosts.RetinaNet):
        assert issubclass(found["DyTRetinaNet"], parent)


# --- Losses ---------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["MaskRCNN", "CascadeRCNN"])
def test_distillation_compares_the_same_regions(family):
    """Two passes propose different regions; both must classify those of the complete model."""
    model = detector(family, dyt=dict(complete_weight=1.0, distill_weight=1.0))
    extractors = model.roi_head.bbox_roi_extractor
    extractor = extractors if family == "MaskRCNN" else extractors[-1]
    regions = []
    extractor.register_forward_hook(lambda _module, args, _out: regions.append(args[1]))
    inputs, samples = batch()
    with capture(model, model.logits_module) as logits:
        losses = model.loss(inputs, samples)
    assert len(logits) == 2 and logits[0].shape == logits[1].shape
    assert torch.equal(*regions)
    names = {name.split(".", 1)[1] for name in losses if name.startswith("complete.")}
    assert {"loss_rpn_cls", "loss_rpn_bbox"} < names
    assert names == {name.split(".", 1)[1] for name in losses if name.startswith("dynamic.")}
    assert losses["distill_loss"] > 0
    total(losses, model).backward()
    # Without it each pass has its own again.
    samplers = model.roi_head.bbox_sampler
    assert "sample" not in vars(samplers if family == "MaskRCNN" else samplers[-1])


def test_distillation_needs_a_classifier_of_regions():
    with pytest.raises(ValueError, match=r"distill_weight=1\.0 needs a classifier.*Retina"):
        detector("RetinaNet", dyt=dict(distill_weight=1.0))
    with pytest.raises(ValueError, match=r"roi_head\.type='HybridTaskCascadeRoIHead' samples"):
        detector("HybridTaskCascade", dyt=dict(distill_weight=1.0))


@pytest.mark.parametrize("family", ["MaskRCNN", "RetinaNet", "DETR"])
def test_images_without_objects_have_a_finite_loss(family):
    model = detector(family)
    for counts in ((0, 0), (0, 2)):
        value = total(model.loss(*batch(counts)), model)
        value.backward()
        assert torch.isfinite(value)
        for name, param in model.named_parameters():
            assert param.grad is None or torch.isfinite(param.grad).all(), name


def test_the_linear_probe_trains_everything_but_the_backbone():
    model = detector("DeformableDETR", dict(dispatch=None, adapter=None), tuning="linear")
    frozen = {name for name, param in model.named_parameters() if not param.requires_grad}
    assert "level_embed" in trainable_names(model)  # a parameter of the detector itself
    assert frozen == {name for name, _ in model.named_parameters() if name.startswith("backbone.")}
    assert not any("rate" in name for name in model.loss(*batch()))


# --- Neck and cost --------------------------------------------------------------------------


def test_the_pyramid_has_the_sizes_that_it_says():
    maps = (torch.randn(2, 32, 1, 1), torch.randn(2, 32, 6, 4))
    sizes = [tuple(out.shape) for out in SimpleFeaturePyramid(32, 8)(maps)]
    assert sizes == [(2, 8, h, w) for h, w in ((24, 16), (12, 8), (6, 4), (3, 2), (2, 1))]
    few = SimpleFeaturePyramid(32, 8, scales=[1, 0.5], num_outs=2)(maps)
    assert [tuple(out.shape[2:]) for out in few] == [(6, 4), (3, 2)]
    with pytest.raises(ValueError, match=r"neck.scales has \[3\]; choose among"):
        SimpleFeaturePyramid(32, scales=[3])
    with pytest.raises(ValueError, match=r"neck\.num_outs must be at least 4, got 3"):
        SimpleFeaturePyramid(32, num_outs=3)


def test_the_cost_does_not_depend_on_what_the_weights_propose():
    """Regions are as many as the config allows; their cost is a head's, done by hand."""
    flops = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        model = detector("FasterRCNN")
        parts = CostAccount(model).complete(batch()[0]).by_module
        flops.append([parts[name] for name in ("", "backbone", "neck", "rpn_head", "roi_head")])
    assert flops[0] == flops[1]
    head = model.roi_head.bbox_head
    widths = [linear.weight.numel() for linear in head.modules() if isinstance(linear, nn.Linear)]
    assert flops[0][4] == 20 * sum(widths)  # max_per_img regions
    assert flops[0][0] == sum(flops[0][1:])


def test_masks_are_counted_of_the_regions_that_a_test_keeps():
    """Each stage has a mask head; all run on what the last classifier keeps, by hand."""
    for family, stages in (("MaskRCNN", 1), ("CascadeRCNN", 3)):
        costs = []
        for kept in (20, 5):
            model = detector(family)
            model.test_cfg["rcnn"].max_per_img = kept
            costs.append(CostAccount(model).complete(batch()[0]).by_module["roi_head"])
        heads = model.roi_head.mask_head
        head = heads if family == "MaskRCNN" else heads[0]
        rows = sum(m.weight[0].numel() * m.out_channels for m in head.convs.modules()
                   if isinstance(m, nn.Conv2d)) * 14 * 14  # fmt: skip
        up, last = head.upsample.weight, head.conv_logits.weight
        rows += up.numel() * 14 * 14 + last.numel() * 28 * 28
        assert costs[0] - costs[1] == pytest.approx(15 * stages * rows, rel=0.01)


def test_a_proposal_network_alone_is_counted():
    model = detector("RPN")
    assert CostAccount(model).complete(batch()[0]).by_module["bbox_head"] > 0


# --- Data -----------------------------------------------------------------------------------


def write_coco(root: Path, change=None) -> Path:
    """Four images of 64 px, three with an object and one without."""
    (root / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for index in range(4):
        Image.fromarray(rng.integers(0, 255, (SIZE, SIZE, 3), np.uint8)).save(
            root / f"images/{index}.png"
        )
        images.append(dict(id=index, file_name=f"{index}.png", width=SIZE, height=SIZE))
        mask = np.zeros((SIZE, SIZE), np.uint8)
        mask[4:28, 8:24] = index
        for each in scene_objects(mask):
            annotations.append(dict(id=len(annotations), image_id=index, **each))
    categories = [dict(id=index, name=name) for index, name in enumerate("abc", start=1)]
    content = dict(images=images, annotations=annotations, categories=categories)
    if change:
        change(content)
    (root / "list.json").write_text(json.dumps(content))
    return root


def data_set(root: Path) -> dict:
    return dict(
        type="mmdyt.CheckedCocoDataset",
        data_root=str(root),
        ann_file="list.json",
        data_prefix=dict(img="images/"),
        metainfo=dict(classes=("a", "b", "c")),
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="LoadAnnotations", with_bbox=True, with_mask=True),
            dict(type="Resize", scale=(SIZE, SIZE), keep_ratio=True),
            dict(type="PackDetInputs"),
        ],
    )


def test_a_sample_has_the_boxes_and_masks_of_the_file(tmp_path):
    dataset = DATASETS.build(data_set(write_coco(tmp_path)))
    assert len(dataset) == 4 and "COCOAPI" not in vars(dataset)
    instances = dataset[2]["data_samples"].gt_instances
    assert instances.bboxes.tensor.tolist() == [[8, 4, 24, 28]] and instances.labels.tolist() == [1]
    assert instances.masks.masks[0].sum() == 24 * 16 and instances.masks.masks[0, 4, 8] == 1
    assert len(dataset[0]["data_samples"].gt_instances) == 0


def test_annotations_that_do_not_fit_stop_before_training(tmp_path):
    def change(content):
        content["annotations"][0]["category_id"] = 9
        content["categories"][2]["name"] = "d"

    with pytest.raises(ValueError, match=r"list\.json has 3 bad samples") as caught:
        DATASETS.build(data_set(write_coco(tmp_path, change)))
    for text in ("class 'c': is not in the file", "1.png: category 9", "3.png: category 3 ('d')"):
        assert text in str(caught.value)


def test_odd_boxes_are_named_in_the_log_and_left_to_the_host(tmp_path, caplog):
    def change(content):
        content["annotations"][0]["bbox"] = [5, 5, 0, 9]
        content["annotations"][1]["bbox"] = [100, 5, 9, 9]

    MMLogger.get_current_instance().addHandler(caplog.handler)
    dataset = DATASETS.build(data_set(write_coco(tmp_path, change)))
    MMLogger.get_current_instance().removeHandler(caplog.handler)
    text = caplog.text
    assert "1 zero-area, 1 outside, 3 no objects" in text
    assert "1.png" in text and "2.png" in text and "0.png: has no objects" in text
    assert [len(dataset[i]["data_samples"].gt_instances) for i in range(4)] == [0, 0, 0, 1]


def test_missing_images_are_named_by_the_preflight(tmp_path):
    dataset = DATASETS.build(data_set(write_coco(tmp_path)))
    (tmp_path / "images/1.png").unlink()
    (tmp_path / "images/2.png").write_bytes(b"no image")
    found = [(Path(problem.sample).name, problem.kind) for problem in find_problems(dataset)]
    assert found == [("1.png", "missing"), ("2.png", "unreadable")]


# --- Runs -----------------------------------------------------------------------------------


@pytest.fixture
def cfg(tmp_path) -> Config:
    """The demo's config with a tiny backbone on four images."""
    root = write_coco(tmp_path / "data")
    cfg = Config.fromfile(CONFIGS / "detection/demo/dyt_vit-mini_mask-rcnn_fashion-scenes.py")
    data = data_set(root)
    data.pop("pipeline")
    cfg.train_dataloader.dataset.pipeline.pop(2)  # no random flips
    hooks = [hook for hook in cfg.custom_hooks if hook.type != "mmdyt.RateScheduleHook"]
    cfg.custom_hooks = hooks  # four iterations would end with every token active
    loader = dict(batch_size=2, dataset=data)
    evaluator = dict(ann_file=str(root / "list.json"))
    cfg.merge_from_dict(
        dict(
            work_dir=str(tmp_path / "run"),
            log_level="ERROR",
            model=dict(
                backbone=dict(arch=ARCH, patch_size=8, init_cfg=None),
                neck=dict(in_channels=32),
                roi_head=dict(
                    bbox_head=dict(num_classes=CLASSES), mask_head=dict(num_classes=CLASSES)
                ),
            ),
            train_dataloader=loader,
            val_dataloader=loader,
            test_dataloader=loader,
            val_evaluator=evaluator,
            test_evaluator=evaluator,
            train_cfg=dict(max_iters=4, val_interval=4),
            default_hooks=dict(logger=dict(interval=1), checkpoint=dict(interval=2)),
        )
    )
    return cfg


def test_a_run_trains_validates_resumes_and_leaves_its_adapter(cfg, tmp_path):
    runner = Runner.from_cfg(cfg.copy())
    runner.train()
    metrics = runner.test()
    assert {"coco/bbox_mAP", "coco/segm_mAP", "dispatch/gflops"} <= set(metrics)
    assert 0 < metrics["dispatch/activation_rate"] < 1

    # Cut off after two of four iterations, and resumed: the weights are the same.
    cut = cfg.copy()
    cut.work_dir = str(tmp_path / "cut")
    cut.train_cfg.max_iters = 2
    cut.val_cfg = cut.val_dataloader = cut.val_evaluator = None
    Runner.from_cfg(cut).train()
    cut.train_cfg.max_iters, cut.resume = 4, True
    resumed = Runner.from_cfg(cut)
    resumed.train()
    assert resumed.iter == 4
    for name, value in runner.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name

    # The adapter file holds what trained, and nothing of the frozen backbone.
    from safetensors.torch import load_file

    adapter = load_file(tmp_path / "run" / "adapter.safetensors")
    assert set(trainable_names(runner.model)) <= set(adapter)
    assert not any(name.endswith("qkv.weight") for name in adapter)
    base = {
        f"backbone.{name}": value
        for name, value in runner.model.backbone.state_dict().items()
        if "adapter." not in name and "dispatcher." not in name
    }
    torch.save(dict(state_dict=base), tmp_path / "base.pth")
    fresh = mmdyt.load_adapter(tmp_path / "run/adapter.safetensors", tmp_path / "base.pth")
    for name, value in runner.model.state_dict().items():
        assert torch.equal(value, fresh.state_dict()[name]), name


def test_testing_at_two_sizes_merges_the_boxes():
    model = detector("FasterRCNN").eval()
    tta = MODELS.build(
        dict(
            type="DetTTAModel",
            module=model,
            tta_cfg=ConfigDict(nms=dict(type="nms", iou_threshold=0.5), max_per_img=7),
        )
    )
    views = []
    for scale in (1, 2):
        size = (SIZE * scale, SIZE * scale)
        sample = DetDataSample(
            metainfo=dict(
                img_shape=size,
                ori_shape=(SIZE, SIZE),
                scale_factor=(float(scale), float(scale)),
                flip=False,
                flip_direction=None,
                img_id=0,
            )
        )
        views.append((torch.randint(255, (3, *size), dtype=torch.uint8), sample))
    data = dict(
        inputs=[[image] for image, _ in views], data_samples=[[sample] for _, sample in views]
    )
    with torch.no_grad(), collect_dispatch(model) as records:
        (result,) = tta.test_step(data)
    assert [record.mask.shape[1] for record in records] == [17] * 3 + [65] * 3
    boxes = result.pred_instances.bboxes
    assert len(boxes) <= 7 and (boxes <= SIZE).all()


def parallel_step(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    init_default_scope("mmdet")
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    torch.manual_seed(0)
    model = detector("MaskRCNN", dyt=dict(complete_weight=1.0, distill_weight=1.0))
    parallel = DistributedDataParallel(model)
    torch.manual_seed(rank)
    for _ in range(2):  # a parameter without a gradient would stop the second step
        losses = parallel(*batch(), mode="loss")
        total(losses, model).backward()
    gradients = {name: model.get_parameter(name).grad for name in trainable_names(model)}
    torch.save((gradients, float(losses["rate_loss"].detach())), f"{folder}/{rank}.pth")
    dist.barrier()
    dist.destroy_process_group()


def test_two_processes_have_one_gradient(tmp_path):
    mp.spawn(parallel_step, (str(tmp_path),), nprocs=2)
    (one, loss), (other, other_loss) = (torch.load(tmp_path / f"{i}.pth") for i in range(2))
    assert loss != other_loss  # each had its own images
    assert one.keys() == other.keys()
    for name, gradient in one.items():
        torch.testing.assert_close(gradient, other[name], msg=name)


# --- Configs --------------------------------------------------------------------------------

COCO = "detection/coco/mask-rcnn_{}-vit-b16_8xb2-12e_coco-{}x{}.py"
METHODS = ("dyt", "dyt-moe4", "adaptformer", "lora", "linear", "full")


@pytest.mark.parametrize("size", [512, 1024])
@pytest.mark.parametrize("method", METHODS)
def test_configs_of_every_method_build(method, size):
    config = Config.fromfile(CONFIGS / COCO.format(method, size, size))
    module = config.model.backbone.get("module", config.model.backbone)
    assert module.img_size == size == config.model.data_preprocessor.pad_size_divisor
    for loader in (config.train_dataloader, config.test_dataloader):
        (resize,) = (each for each in loader.dataset.pipeline if each["type"] == "Resize")
        assert tuple(resize["scale"]) == (size, size)
    module.update(arch=ARCH, init_cfg=None)
    config.model.neck.in_channels = 32
    model = MODELS.build(config.model)
    assert any(name.startswith("backbone.") for name in trainable_names(model)) == (
        method != "linear"
    )
    assert config.train_cfg.max_epochs == 12
    if "adapter" in config.model.backbone and config.model.backbone.adapter:
        assert config.model.backbone.adapter.bottleneck_dims == 128


@pytest.mark.long
def test_the_cost_of_the_coco_config():
    """By hand: 1,024 tokens of ViT-B/16, and 1,000 regions of the box and 100 of the mask head."""
    config = Config.fromfile(CONFIGS / COCO.format("linear", 512, 512))
    parts = CostAccount(MODELS.build(config.model)).complete(torch.zeros(1, 3, 512, 512)).by_module
    assert parts["backbone"] / 1e9 == pytest.approx(107.1, rel=2e-3)  # as in segmentation
    convolution = 256 * 256 * 9
    linears = 256 * 49 * 1024 + 1024 * 81 + 1024 * 320
    box = 4 * 49 * convolution + linears
    mask = 4 * 196 * convolution + 256 * 256 * 4 * 196 + 256 * 80 * 784
    assert parts["roi_head"] == pytest.approx(1000 * box + 100 * mask, rel=2e-3)
