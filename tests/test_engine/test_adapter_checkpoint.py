"""Adapter-only checkpoints: small, complete on top of their base, refused elsewhere."""

import pytest
import torch
from mmengine.runner import Runner

from mmdyt.engine.adapter_checkpoint import load_adapter, save_adapter
from mmdyt.fileio import atomic_path, load_safetensors
from mmdyt.models.utils import trainable_names
from tests.conftest import TINY_ARCH, build, randomise_adapters, tiny_classifier


@pytest.fixture
def base(tmp_path):
    """A plain pre-trained ViT, and the config of a classifier on top of it."""
    plain = build(dict(type="VisionTransformer", arch=TINY_ARCH, img_size=28, patch_size=4))
    plain.init_weights()
    torch.save(plain.state_dict(), tmp_path / "base.pth")
    init_cfg = dict(type="Pretrained", checkpoint=str(tmp_path / "base.pth"))
    return dict(init_cfg=init_cfg)


def built(backbone):
    model = build(tiny_classifier(backbone))
    model.init_weights()
    model.eval()
    return model


def test_adapter_on_its_base_gives_the_same_logits(base, tmp_path):
    model = built(base)
    randomise_adapters(model)
    save_adapter(model, tmp_path / "adapter.safetensors", config="a.py")
    assert set(load_safetensors(str(tmp_path / "adapter.safetensors"))["state_dict"]) == set(
        trainable_names(model)
    )
    other = built(base)
    images = torch.randn(2, 3, 28, 28)
    assert not torch.equal(model(images), other(images))
    assert load_adapter(other, tmp_path / "adapter.safetensors")["config"] == "a.py"
    assert torch.equal(model(images), other(images))


@pytest.mark.parametrize(
    "change, told",
    [
        (dict(init_cfg=None), r"'a\.py'.*other base weights"),
        (dict(dispatch=None), r"'a\.py'.*beyond it \['backbone\.layers\.0\.dispatcher"),
        (
            dict(adapter=dict(type="mmdyt.BottleneckAdapter", bottleneck_dims=8)),
            r"'a\.py'.*adapter\.mlp\.down\.weight is \(64, 32\), the model has \(8, 32\)",
        ),
    ],
)
def test_adapter_of_another_model_is_refused(base, tmp_path, change, told):
    save_adapter(built(base), tmp_path / "adapter.safetensors", config="a.py")
    model = built(base | change)
    before = {name: param.clone() for name, param in model.named_parameters()}
    with pytest.raises(ValueError, match=told):
        load_adapter(model, tmp_path / "adapter.safetensors")
    assert all(torch.equal(model.get_parameter(name), old) for name, old in before.items())


def test_damaged_and_missing_files_are_named(base, tmp_path):
    model = built(base)
    path = tmp_path / "adapter.safetensors"
    save_adapter(model, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"adapter\.safetensors is not a complete"):
        load_adapter(model, path)
    with pytest.raises(FileNotFoundError, match=r"none\.safetensors"):
        load_adapter(model, tmp_path / "none.safetensors")


def test_atomic_path_keeps_the_old_file_on_an_error(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(target) as path:
        path.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_runner_writes_it_and_tests_from_it(digits_cfg, base):
    """The frozen backbone comes from ``init_cfg``, the rest from the small file."""
    digits_cfg.model.backbone.init_cfg = base["init_cfg"]
    runner = Runner.from_cfg(digits_cfg.copy())
    runner.train()
    trained = runner.test()

    folder = runner.work_dir
    small, full = f"{folder}/adapter.safetensors", f"{folder}/epoch_2.pth"
    assert load_safetensors(small)["meta"]["base"] == base["init_cfg"]["checkpoint"]
    for checkpoint in (small, full):
        cfg = digits_cfg.copy()
        cfg.load_from = checkpoint
        assert Runner.from_cfg(cfg).test() == trained

    cfg = digits_cfg.copy()
    cfg.load_from, cfg.resume = small, True
    with pytest.raises(ValueError, match="no optimiser state"):
        Runner.from_cfg(cfg).train()
