"""No code runs from a weight file, and mmengine's own checkpoints load all the same."""

import os
import pickle

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import load_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader

from mmdyt import weights_only
from mmdyt.converters import read_source
from tests.conftest import build, tiny_backbone


class Touch:
    """Unpickling it makes a file."""

    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


class Lookup:
    """Unpickling it reaches through an allowed class for more than its statistics."""

    def __reduce__(self):
        return getattr, (HistoryBuffer, "__init__")


def state() -> dict:
    return build(tiny_backbone()).state_dict()


@pytest.fixture(params=["torch's unpickler", "ours"])
def old_torch(request, monkeypatch):
    """Torch before 2.5 cannot be told what is harmless; there our unpickler reads."""
    if request.param == "ours":
        monkeypatch.delattr(torch.serialization, "safe_globals", raising=False)


def load_by_init_cfg(file):
    build(tiny_backbone(init_cfg=dict(type="Pretrained", checkpoint=file))).init_weights()


LOADERS = {
    "init_cfg": load_by_init_cfg,
    "load_checkpoint": lambda file: load_checkpoint(build(tiny_backbone()), file),
    "CheckpointLoader": lambda file: CheckpointLoader.load_checkpoint(file),
}


@pytest.mark.parametrize("loader", LOADERS.values(), ids=LOADERS)
def test_a_crafted_file_runs_nothing(tmp_path, loader, old_torch, monkeypatch):
    file, made = str(tmp_path / "crafted.pth"), tmp_path / "made"
    for content in (dict(state(), evil=Touch(made)), dict(state_dict=state(), meta=Touch(made))):
        torch.save(content, file)
        with pytest.raises(
            ValueError,
            match=r"crafted\.pth holds more than data: it names posix\.mkdir.*MMDYT_ALLOW",
        ):
            loader(file)
        assert not made.exists()
    torch.save(dict(state(), evil=Touch(made)), file)
    with pytest.raises(ValueError, match=r"crafted\.pth"):
        read_source(file, "timm")
    with open(tmp_path / "crafted.pth", "wb") as stream:
        pickle.dump(Touch(made), stream)
    with pytest.raises(ValueError, match=r"crafted\.pth"):
        loader(file)
    torch.save(dict(state(), evil=Lookup()), file)
    with pytest.raises(ValueError, match=r"getattr.*is no statistic of a log"):
        loader(file)
    assert not made.exists()
    for setting in ("0", "", "false"):
        monkeypatch.setenv(weights_only.OPT_IN, setting)
        torch.save(dict(state(), evil=Touch(made)), file)
        with pytest.raises(ValueError, match="holds more than data"):
            loader(file)

    torch.save(dict(state_dict=state(), meta=dict(trusted=Touch(made))), file)
    monkeypatch.undo()
    monkeypatch.setenv(weights_only.OPT_IN, "1")
    CheckpointLoader.load_checkpoint(file)
    assert made.exists(), "who trusts a file gets what it names"


def test_other_schemes_are_forced_too(tmp_path, monkeypatch):
    """A download ends in ``torch.load`` of torch.hub, which asks for no ``weights_only``."""
    made = tmp_path / "made"
    torch.save(Touch(made), tmp_path / "crafted.pth")
    for scheme in ("http://", "https://", "openmmlab://"):
        assert CheckpointLoader._schemes[scheme].reads_data_only, scheme
    guarded = weights_only._guarded(
        lambda filename, map_location=None: torch.load(
            tmp_path / "crafted.pth", weights_only=False
        ),
        local=False,
    )
    with pytest.raises(ValueError, match="holds more than data"):
        guarded("http://nowhere/crafted.pth")
    assert not made.exists() and weights_only._FORCE not in os.environ
    if not hasattr(torch.serialization, "safe_globals"):
        return
    history = HistoryBuffer([1.0], [1])  # what mmengine writes is data there too
    torch.save(dict(state_dict=state(), message_hub=dict(loss=history)), tmp_path / "crafted.pth")
    assert guarded("http://nowhere/crafted.pth")["message_hub"]["loss"].mean() == 1.0


def test_what_mmengine_writes_is_data(tmp_path, old_torch):
    history = HistoryBuffer([1.0, 2.0], [1, 1])
    meta = dict(
        epoch=1,
        seed=np.int64(3),
        dataset_meta=dict(classes=("a", "b"), palette=np.zeros((2, 3), np.uint8)),
        config="raise SystemExit  # mmengine's Runner.resume would execute this",
    )
    hub = dict(log_scalars=dict(loss=history), runtime_info=dict(best=np.float32(0.5)))
    content = dict(meta=meta, message_hub=hub, state_dict=state())
    torch.save(content, tmp_path / "epoch_1.pth")
    loaded = CheckpointLoader.load_checkpoint(str(tmp_path / "epoch_1.pth"))
    assert loaded["message_hub"]["log_scalars"]["loss"].mean() == 1.5
    assert loaded["meta"]["seed"] == 3 and loaded["meta"]["dataset_meta"]["palette"].shape == (2, 3)
    assert "config" not in loaded["meta"]
    assert loaded["state_dict"].keys() == state().keys()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 half a zip"])
def test_damaged_files_are_named(tmp_path, content, old_torch):
    (tmp_path / "damaged.pth").write_bytes(content)
    with pytest.raises(ValueError, match=r"damaged\.pth is damaged or no checkpoint"):
        CheckpointLoader.load_checkpoint(str(tmp_path / "damaged.pth"))
    np.savez(tmp_path / "augreg.npz", cls=np.zeros(3))
    with pytest.raises(ValueError, match=r"convert it with .*augreg_npz_to_mmdyt\.py"):
        CheckpointLoader.load_checkpoint(str(tmp_path / "augreg.npz"))
    with pytest.raises(FileNotFoundError, match=r"none\.pth"):
        CheckpointLoader.load_checkpoint(str(tmp_path / "none.pth"))
