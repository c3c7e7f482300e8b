"""Adapter files: small, the trained model whoever loads them, refused where they do not belong."""

import ast
import re
import subprocess
import sys

import pytest
import torch
from mmengine.config import Config
from mmengine.model.weight_init import PretrainedInit
from mmengine.runner import Runner, load_checkpoint
from PIL import Image

import mmdyt
from mmdyt.fileio import atomic_path, load_from_safetensors, save_safetensors
from mmdyt.models.utils import trainable_names
from tests.conftest import (
    REPO,
    TINY_ARCH,
    build,
    randomise_adapters,
    tiny_backbone,
    tiny_classifier,
)
from tests.test_models.helpers import spread_dispatch

NORMALISED = dict(mean=[127.5] * 3, std=[127.5] * 3, to_rgb=True)


@pytest.fixture
def base(tmp_path):
    """A plain pre-trained ViT, and the config of a classifier on top of it."""
    plain = build(dict(type="VisionTransformer", arch=TINY_ARCH, img_size=28, patch_size=4))
    plain.init_weights()
    torch.save(plain.state_dict(), tmp_path / "base.pth")
    return dict(init_cfg=dict(type="Pretrained", checkpoint=str(tmp_path / "base.pth")))


def config(backbone, **overrides) -> dict:
    settings = dict(backbone=tiny_backbone() | backbone, data_preprocessor=dict(NORMALISED))
    return tiny_classifier() | settings | overrides


@pytest.fixture
def trained(base, tmp_path):
    """A model with weights that matter, and its adapter file."""
    model = build(config(base))
    model.init_weights()
    randomise_adapters(model)
    spread_dispatch(model)
    model.eval()
    file = tmp_path / "adapter.safetensors"
    mmdyt.save_adapter(model, file, config="a.py", dataset_meta=dict(classes=("one", "two")))
    return model, str(file)


def logits(model) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        return model(torch.randn(2, 3, 28, 28, generator=torch.Generator().manual_seed(1)))


def test_the_file_alone_gives_the_model(trained, base, tmp_path):
    model, file = trained
    content = load_from_safetensors(file)
    assert set(content["state_dict"]) == set(trainable_names(model))
    assert content["meta"]["mmdyt_version"] == mmdyt.__version__
    again = mmdyt.load_adapter(file)
    assert not again.training and again.dataset_meta["classes"] == ["one", "two"]
    assert torch.equal(logits(again), logits(model))
    assert torch.equal(again.data_preprocessor.mean, model.data_preprocessor.mean)
    # The base lies elsewhere now, as a part of a whole classifier.
    state = torch.load(tmp_path / "base.pth", weights_only=True)
    state = {f"backbone.{name}": tensor for name, tensor in state.items()}
    torch.save(dict(state_dict=state), tmp_path / "moved.pth")
    (tmp_path / "base.pth").unlink()
    with pytest.raises(ValueError, match=r"base\.pth, which is not there.*base="):
        mmdyt.load_adapter(file)
    assert torch.equal(logits(mmdyt.load_adapter(file, tmp_path / "moved.pth")), logits(model))


def test_importing_mmdyt_imports_no_torch():
    code = "import mmdyt, sys; assert 'torch' not in sys.modules and mmdyt.__version__"
    subprocess.run([sys.executable, "-c", code], cwd=REPO, check=True)
    with pytest.raises(AttributeError, match="no attribute 'load_adaptor'"):
        mmdyt.load_adaptor  # noqa: B018


def test_every_loader_of_the_host_loads_the_base_too(trained, base, tmp_path):
    """None of them calls ``init_weights``: each would keep a random backbone."""
    from mmpretrain import ImageClassificationInferencer, get_model

    model, file = trained
    cfg = Config(dict(model=config(base), test_dataloader=dict(dataset=dict(type="CustomDataset"))))
    expected = logits(model)
    loaded = get_model(cfg, pretrained=file)
    assert torch.equal(logits(loaded), expected)
    assert loaded._dataset_meta["classes"] == ["one", "two"]
    cfg.test_dataloader.dataset.pipeline = [dict(type="PackInputs")]
    assert torch.equal(logits(ImageClassificationInferencer(cfg, file).model), expected)
    plain = build(config(base))
    plain.load_state_dict(load_from_safetensors(file)["state_dict"], strict=True)
    assert torch.equal(logits(plain), expected)
    plain.init_weights()  # training starts from the file
    load_checkpoint(plain, file)
    assert torch.equal(logits(plain), expected)


@pytest.mark.parametrize("ema", [False, True])
def test_a_run_writes_it_and_tests_from_it(digits_cfg, base, ema):
    """Averaged weights are those that are saved, and a test with ``EMAHook`` finds them."""
    # A list, as mmpretrain's own ViT configs have one.
    digits_cfg.model.backbone.init_cfg = [dict(type="Kaiming", layer="Conv2d"), base["init_cfg"]]
    if ema:
        digits_cfg.custom_hooks.append(dict(type="EMAHook", momentum=0.5))
    runner = Runner.from_cfg(digits_cfg.copy())
    runner.train()
    trained = runner.test()
    folder = runner.work_dir
    read = mmdyt.load_adapter(f"{folder}/adapter.safetensors").test_pipeline
    assert read[1] == dict(type="Resize", scale=(28, 28), interpolation="bicubic")
    small, full = f"{folder}/adapter.safetensors", f"{folder}/epoch_2.pth"
    content, state = load_from_safetensors(small), torch.load(full, weights_only=False)
    for name, tensor in content["state_dict"].items():
        assert torch.equal(tensor, state["state_dict"][name])
    assert content["meta"]["pretrained"]["checkpoint"] == base["init_cfg"]["checkpoint"]
    assert content["meta"]["dataset_meta"]["classes"] == [str(digit) for digit in range(10)]
    moved = not torch.equal(
        content["state_dict"]["head.fc.weight"], runner.model.get_parameter("head.fc.weight")
    )
    assert moved == ema
    averaged = build(digits_cfg.model | dict(data_preprocessor=digits_cfg.data_preprocessor))
    averaged.load_state_dict(state["state_dict"])
    assert torch.equal(logits(mmdyt.load_adapter(small)), logits(averaged))
    metrics = []
    for checkpoint in (small, full):
        cfg = digits_cfg.copy()
        cfg.load_from = checkpoint
        metrics.append(Runner.from_cfg(cfg).test())
    assert metrics[0] == metrics[1]
    assert ema or metrics[0] == trained  # the runner itself goes on with its last weights

    cfg = digits_cfg.copy()
    cfg.load_from, cfg.resume = small, True
    with pytest.raises(ValueError, match="no optimiser state"):
        Runner.from_cfg(cfg).train()
    cfg.resume = False
    Runner.from_cfg(cfg).train()  # a training may start from it

    runner = Runner.from_cfg(digits_cfg.copy())
    runner.model.get_parameter("backbone.ln1.weight").requires_grad_()
    with pytest.raises(ValueError, match=r"1 parameters train that .*'peft' froze.*backbone\.ln1"):
        runner.train()


def lora(base, seed: int, **changes):
    torch.manual_seed(seed)
    inner = tiny_backbone(dispatch=None, adapter=None) | base | changes
    wrapper = dict(type="mmpretrain.LoRAModel", rank=2, targets=[dict(type="qkv")], module=inner)
    return build(tiny_classifier() | dict(backbone=wrapper))


def test_lora_is_an_adapter_too(base, tmp_path):
    """The frozen part of mmpretrain's LoRAModel stays out of it."""
    model = lora(base, 0)
    model.init_weights()
    torch.nn.init.normal_(model.get_parameter(trainable_names(model)[1]))
    file = str(tmp_path / "lora.safetensors")
    mmdyt.save_adapter(model, file)
    load_checkpoint(other := lora(base, 1), file)
    assert torch.equal(logits(model), logits(other))
    assert torch.equal(logits(model), logits(mmdyt.load_adapter(file, tmp_path / "base.pth")))
    with pytest.raises(ValueError, match="other base weights"):
        load_checkpoint(lora(base, 2, init_cfg=None), file)


def test_the_code_of_the_page_runs(trained, base, tmp_path, monkeypatch):
    model, _ = trained
    monkeypatch.chdir(tmp_path)
    pipeline = [
        dict(type="LoadImageFromFile"),
        dict(type="Resize", scale=(28, 28)),
        dict(type="PackInputs"),
    ]
    classes = dict(classes=[str(digit) for digit in range(10)])
    file = "work_dirs/my_run/adapter.safetensors"
    mmdyt.save_adapter(model, file, dataset_meta=classes, test_pipeline=pipeline)
    torch.save(dict(state_dict=model.state_dict()), "work_dirs/my_run/epoch_2.pth")
    Image.new("RGB", (40, 30), (200, 50, 0)).save("photo.jpg")
    cfg = Config(dict(model=config(base), test_dataloader=dict(dataset=dict(pipeline=pipeline))))
    cfg.test_dataloader.dataset.type = "CustomDataset"
    cfg.dump("my_config.py")
    page = (REPO / "docs/inference.md").read_text()
    namespace: dict = {}
    for code in re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.M):
        exec(code, namespace)
        loaded = namespace.get("model", namespace["infer"].model)
        assert torch.equal(logits(loaded), logits(model))
    assert namespace["result"]["token_maps"]["mlp 0"].shape == (1, 7, 7)
    assert len(namespace["results"]) == 2
    assert (tmp_path / "adapter.safetensors").exists()


BOTTLENECK = dict(type="mmdyt.BottleneckAdapter")
DISPATCHER = dict(type="mmdyt.TokenDispatcher")


def test_what_computes_differently_is_refused_by_its_key(trained, base):
    _, file = trained
    heads8 = dict(arch=dict(TINY_ARCH, num_heads=8))
    moe = dict(adapter=dict(type="mmdyt.MoEAdapter"))
    cases = [
        (dict(adapter=dict(BOTTLENECK, scale=1.0)), {}, r"adapter\.scale: 0\.1 .* 1\.0 in the mod"),
        (dict(adapter=dict(BOTTLENECK, bottleneck_dims=8)), {}, r"adapter\.bottleneck_dims: 64 "),
        (moe, {}, r"adapter\.type: 'BottleneckAdapter' in the file, 'MoEAdapter'"),
        (dict(dispatcher=dict(DISPATCHER, threshold=0.9)), {}, r"dispatcher\.threshold: 0\.5 "),
        (dict(dispatcher=dict(type="mmdyt.SampleDispatcher")), {}, r"dispatcher\.type"),
        (dict(dispatch="attn"), {}, r"backbone\.dispatch: 'mlp' in the file, 'attn'"),
        (dict(dispatch=None), {}, r"backbone\.dispatch: 'mlp' in the file, None"),
        (dict(num_dense_layers=1), {}, r"backbone\.num_dense_layers: 0 in the file, 1"),
        (heads8, {}, r"backbone\.arch\.num_heads: 4 in the file, 8"),
        (dict(final_norm=False), {}, r"backbone\.final_norm: True"),
        ({}, dict(data_preprocessor=dict(NORMALISED, std=[1.0] * 3)), r"data_preprocessor\.std"),
        ({}, dict(data_preprocessor=None), r"data_preprocessor\.mean"),
        (
            {},
            dict(head=dict(type="LinearClsHead", num_classes=7, in_channels=32)),
            r"head\.num_classes: 10 in the file, 7",
        ),
    ]
    wrong = []
    for backbone, overrides, told in cases:
        model = build(config(base | backbone, **overrides))
        before = {name: param.clone() for name, param in model.named_parameters()}
        try:
            with pytest.raises(ValueError, match=rf"adapter\.safetensors.*'?a\.py.*{told}"):
                load_checkpoint(model, file)
        except (AssertionError, pytest.fail.Exception) as error:
            wrong.append(f"{backbone} {overrides}: {error}")
        assert all(torch.equal(model.get_parameter(name), old) for name, old in before.items())
    assert not wrong, "\n".join(wrong)


def test_what_computes_the_same_is_taken(trained, base):
    model, file = trained
    same = [
        (dict(adapter=dict(BOTTLENECK, scale=0.1, drop_rate=0.7)), {}),
        (dict(dispatcher=dict(DISPATCHER, tau=1.0)), {}),
        (dict(with_cp=True, drop_path_rate=0.2, img_size=(28, 28)), {}),
        ({}, dict(dyt=dict(target_rate=0.9, rate_weight=0.0))),
        ({}, dict(data_preprocessor=dict(NORMALISED, num_classes=10, type="ClsDataPreprocessor"))),
        ({}, dict(head=dict(type="mmpretrain.LinearClsHead", num_classes=10, in_channels=32))),
    ]
    for backbone, overrides in same:
        other = build(config(base | backbone, **overrides))
        load_checkpoint(other, file)
        assert torch.equal(logits(other), logits(model)), (backbone, overrides)


def test_a_rounded_base_is_taken_and_another_one_is_not(trained, base, tmp_path):
    model, file = trained
    state = torch.load(tmp_path / "base.pth", weights_only=True)

    def load_on(changed: dict):
        torch.save(state | changed, tmp_path / "other.pth")
        return mmdyt.load_adapter(file, tmp_path / "other.pth")

    rounded = load_on({name: tensor.bfloat16() for name, tensor in state.items()})
    torch.testing.assert_close(logits(rounded), logits(model), rtol=0.05, atol=0.05)
    load_on(dict(pos_embed=state["pos_embed"] * (1 + 1e-6)))  # another torch resized it
    name = "layers.1.ffn.layers.0.0.weight"
    swapped = state[name].clone()
    swapped[[3, 40]] = swapped[[40, 3]]
    for changed in ({name: state[name].flip(0)}, {name: swapped}, {name: -state[name]}):
        with pytest.raises(ValueError, match=rf"other base weights: on .*base\.pth.*{name}"):
            load_on(changed)
    with pytest.raises(ValueError, match=r"weights from no file; .* frozen tensors differ"):
        # As before this file had a check of its own: nothing to load, and random weights.
        content = load_from_safetensors(file)
        content["meta"]["pretrained"] = None
        save_safetensors(tmp_path / "nameless.safetensors", content["state_dict"], content["meta"])
        load_checkpoint(build(config({})), str(tmp_path / "nameless.safetensors"))


def test_a_crafted_file_builds_registered_model_parts_only(trained, tmp_path):
    """mmengine would import any name, and mmcv evaluate that of a suppression of boxes."""
    _, file = trained
    content = load_from_safetensors(file)

    def crafted(scope: str = "mmpretrain", init_cfg: object = None, **parts):
        config = ast.literal_eval(content["meta"]["model"]) | parts
        config["backbone"]["init_cfg"] = init_cfg
        meta = content["meta"] | dict(model=repr(config), scope=scope)
        save_safetensors(tmp_path / "evil.safetensors", content["state_dict"], meta)
        return mmdyt.load_adapter(tmp_path / "evil.safetensors")

    made = tmp_path / "made"
    for evil in ("os.system", "subprocess.Popen", "mmdyt.fileio.save_safetensors", "antigravity"):
        with pytest.raises(ValueError, match=rf"asks for type='{evil}'"):
            crafted(neck=dict(type=evil))
        for init_cfg in (dict(type=evil, command=f"touch {made}"), [dict(type=evil)]):
            with pytest.raises(ValueError, match=rf"asks for type='{evil}'"):
                crafted(init_cfg=init_cfg)
    with pytest.raises(ValueError, match=r"asks for type=.exec\("):
        crafted(test_cfg=dict(nms=dict(type=f"exec('import os; os.mkdir({str(made)!r})')")))
    with pytest.raises(ValueError, match=r"scope='antigravity'; the scopes are \['mmengine'"):
        crafted(scope="antigravity")
    with pytest.raises(ValueError, match="scope='antigravity'"):
        crafted(neck=dict(type="GlobalAveragePooling", _scope_="antigravity"))
    assert "antigravity" not in sys.modules and not made.exists()


def test_an_initialiser_given_as_a_class_is_stored_by_its_name(base, tmp_path):
    """As configs of lazy imports give it."""
    backbone = dict(init_cfg=[base["init_cfg"] | dict(type=PretrainedInit)])
    model = build(config(backbone))
    model.init_weights()
    model.dataset_meta = dict(classes=["one"])
    mmdyt.save_adapter(model, tmp_path / "lazy.safetensors")
    again = mmdyt.load_adapter(tmp_path / "lazy.safetensors")
    assert torch.equal(logits(again), logits(model))
    assert again.dataset_meta == dict(classes=["one"])


def test_other_files_are_refused_by_name(trained, tmp_path):
    model, file = trained
    content = load_from_safetensors(file)
    old, damaged = tmp_path / "old.safetensors", tmp_path / "damaged.safetensors"
    save_safetensors(old, content["state_dict"], dict(format="mmdyt-adapter", base={}))
    damaged.write_bytes((tmp_path / "adapter.safetensors").read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"old\.safetensors is no adapter file of this version"):
        mmdyt.load_adapter(old)
    with pytest.raises(ValueError, match=r"old\.safetensors .* is of format mmdyt-adapter,"):
        load_checkpoint(model, str(old))
    with pytest.raises(ValueError, match=r"damaged\.safetensors is not a complete"):
        mmdyt.load_adapter(damaged)
    with pytest.raises(FileNotFoundError, match=r"none\.safetensors"):
        mmdyt.load_adapter(tmp_path / "none.safetensors")
    with pytest.raises(TypeError, match="models of mmdyt"):
        mmdyt.save_adapter(torch.nn.Linear(2, 2), tmp_path / "linear.safetensors")


def test_atomic_path_keeps_the_old_file_on_an_error(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(target) as path:
        path.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_an_adapter_file_has_its_suffix(tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.safetensors, got .*adapter\.pth"):
        mmdyt.save_adapter(build(tiny_classifier()), tmp_path / "adapter.pth")
