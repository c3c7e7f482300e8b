"""Dynamic Tuning in mmdetection: every family of detectors, losses, data, figures."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from torch import nn

if find_spec("mmdet") is None:
    pytest.skip("needs requirements/detection.txt", allow_module_level=True)

import mmdet.models.detectors as hosts
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks

import mmdyt.integrations.mmdet as integration
from mmdyt.evaluation import CostAccount
from mmdyt.models.utils import collect_dispatch

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
    "RetinaNet": (
        "retinanet/retinanet_r50_fpn_1x_coco.py",
        {"bbox_head.anchor_generator.strides": STRIDES},
    ),
    "FCOS": (
        "fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py",
        {"bbox_head.strides": STRIDES, "bbox_head.norm_cfg.num_groups": 8},
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
    config.model.type = type(f"DyT{family}", (integration.DyTDetectorMixin, host), {})
    return MODELS.build(config.model)


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
