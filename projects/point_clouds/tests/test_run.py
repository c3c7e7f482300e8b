"""A run of a config, from frozen weights to an adapter file."""

import torch
from mmengine.config import Config
from mmengine.runner import Runner

import mmdyt
from tests.conftest import PROJECTS, build


def test_a_run_ends_with_an_adapter_file_that_gives_its_model_again(tmp_path):
    cfg = Config.fromfile(PROJECTS / "point_clouds/configs/dapt_dispatch.py")
    arch = dict(embed_dims=24, num_layers=2, num_heads=2, feedforward_channels=48)
    cfg.model.backbone.update(arch=arch, init_cfg=None)
    cfg.model.head.update(in_channels=3 * 24, mid_channels=[16])
    encoder = dict(cfg.model.backbone, type="mmdyt.DyTPointTransformer", dispatch=None)
    torch.save(build(encoder | dict(adapter=None)).state_dict(), tmp_path / "encoder.pth")
    cfg.model.backbone.init_cfg = dict(type="Pretrained", checkpoint=str(tmp_path / "encoder.pth"))
    cfg.merge_from_dict(
        dict(
            work_dir=str(tmp_path / "run"),
            log_level="ERROR",
            train_cfg=dict(max_epochs=2),
            train_dataloader=dict(dataset=dict(indices=64)),
            test_dataloader=dict(dataset=dict(indices=20)),
        )
    )
    runner = Runner.from_cfg(cfg)
    runner.train()
    metrics = runner.test()
    assert 0 <= metrics["accuracy/top1"] <= 100 and metrics["dispatch/gflops"] > 0
    assert 0 <= metrics["dispatch/activation_rate"] <= 1
    again = mmdyt.load_adapter(tmp_path / "run/adapter.safetensors")
    points = torch.rand(4, 96, 3)
    with torch.no_grad():
        assert torch.equal(again(points), runner.model.eval()(points))
