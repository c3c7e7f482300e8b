"""mmaction2 and mmcv's operators work here, and a healthy install is left alone."""

import os
import subprocess
import sys
import textwrap

import pytest
import torch
import torchvision

from mmdyt.compat import heal_mmcv_ops
from tests.conftest import REPO


def run(script: str, **env: str) -> subprocess.CompletedProcess:
    """Run a script of a user in a fresh interpreter."""
    return subprocess.run(
        [sys.executable, "-W", "always::UserWarning", "-c", textwrap.dedent(script)],
        cwd=REPO,
        env=os.environ | env,
        capture_output=True,
        text=True,
    )


# --- mmaction2 ------------------------------------------------------------------------------


def refused() -> bool:
    from importlib.metadata import PackageNotFoundError, version

    import mmcv

    try:
        return version("mmaction2") == "1.2.0" and mmcv.__version__.startswith("2.3.")
    except PackageNotFoundError:
        return False


needs_repair = pytest.mark.skipif(not refused(), reason="this stack needs no repair of the version")


@needs_repair
def test_import_works_warns_once_and_hides_nothing():
    result = run("""
        import mmcv
        real = mmcv.__version__
        import mmdyt.integrations.mmaction
        import mmdyt.compat
        assert mmdyt.compat.heal_mmaction()
        import mmaction.apis, mmaction.datasets, mmaction.engine, mmaction.models
        assert mmcv.__version__ == real
        from mmaction.registry import MODELS
        try:
            MODELS.build(dict(type="DRN"))
        except ImportError as error:
            print(error)
    """)
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("mmdyt healed this in memory") == 1
    assert "lacks; install mmaction2 from its source" in result.stdout


@needs_repair
def test_opt_out_gives_the_host_error_back():
    result = run("import mmdyt.integrations.mmaction", MMDYT_NO_COMPAT="1")
    assert result.returncode
    assert "MMCV==" in result.stderr


# A healthy install: a package tree with the files that the wheel forgot and an
# mmcv that mmaction accepts, before the installed ones on the path.
def healthy(tmp_path, version: str, drn: bool) -> dict[str, str]:
    package = tmp_path / "mmaction"
    (package / "models/localizers/drn").mkdir(parents=True)
    (package / "__init__.py").write_text("import mmcv; SEEN = mmcv.__version__")
    (package / "models/__init__.py").touch()
    (package / "models/localizers/__init__.py").write_text("from .drn.drn import DRN")
    (package / "models/localizers/drn/__init__.py").touch()
    (package / "models/localizers/drn/drn.py").write_text("class DRN: real = True")
    if not drn:
        for file in (package / "models/localizers/drn").iterdir():
            file.unlink()
        (package / "models/localizers/drn").rmdir()
    info = tmp_path / f"mmaction2-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: mmaction2\nVersion: {version}\n")
    return {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(REPO)])}


def test_healthy_install_is_untouched(tmp_path):
    result = run(
        """
        import sys, mmcv
        mmcv.__version__ = "2.1.0"
        from mmdyt.compat import heal_mmaction
        before = list(sys.meta_path)
        assert heal_mmaction() is False
        assert sys.meta_path == before and "mmaction" not in sys.modules
        from mmaction.models.localizers import DRN
        assert DRN.real
        """,
        **healthy(tmp_path, "1.2.0", drn=True),
    )
    assert result.returncode == 0, result.stderr
    assert "MMDYT_NO_COMPAT" not in result.stderr


def test_real_drn_wins_where_only_the_version_is_refused(tmp_path):
    result = run(
        """
        import sys, mmcv
        mmcv.__version__ = "2.3.9"
        from mmdyt.compat import heal_mmaction
        assert heal_mmaction() is True
        import mmaction
        assert mmaction.SEEN == "2.1.0" and mmcv.__version__ == "2.3.9"
        from mmaction.models.localizers import DRN
        assert DRN.real
        """,
        **healthy(tmp_path, "1.2.0", drn=True),
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("mmaction, mmcv", [("1.3.0", "2.3.6"), ("1.2.0", "2.9.0")])
def test_untested_versions_keep_their_own_check(tmp_path, mmaction, mmcv):
    result = run(
        f"""
        import sys, mmcv
        mmcv.__version__ = {mmcv!r}
        from mmdyt.compat import heal_mmaction
        assert heal_mmaction() is False
        import mmaction
        assert mmaction.SEEN == {mmcv!r}
        """,
        **healthy(tmp_path, mmaction, drn=True),
    )
    assert result.returncode == 0, result.stderr


# --- mmcv's operators -----------------------------------------------------------------------
# In this process: compiled ones where there are any, else torchvision's. Both must pass.


@pytest.fixture
def mmcv_ops():
    heal_mmcv_ops()
    return pytest.importorskip("mmcv.ops")


def test_nms_is_mmcvs(mmcv_ops):
    """The case that mmcv publishes, and torchvision's own operator on random boxes."""
    boxes = torch.tensor([[6.0, 3, 8, 7], [3, 6, 9, 11], [3, 7, 10, 12], [1, 4, 13, 7]])
    scores = torch.tensor([0.6, 0.9, 0.7, 0.2])
    kept, indices = mmcv_ops.nms(boxes, scores, iou_threshold=0.3, offset=0)
    assert indices.tolist() == [1, 0, 3]
    torch.testing.assert_close(kept, torch.cat([boxes, scores[:, None]], dim=1)[indices])

    corners = torch.rand(200, 2, 2).sort(dim=1).values.reshape(200, 4) * 50
    scores = torch.rand(200)
    for dtype in (torch.float, torch.double, torch.half):
        indices = mmcv_ops.nms(corners.to(dtype), scores.to(dtype), iou_threshold=0.5)[1]
        rounded = corners.to(dtype).float(), scores.to(dtype).float()
        assert indices.tolist() == torchvision.ops.nms(*rounded, 0.5).tolist()
    assert 0 < len(indices) < 200
    assert mmcv_ops.nms(corners[:0], scores[:0], iou_threshold=0.5)[1].shape == (0,)


def test_an_offset_counts_the_last_pixel(mmcv_ops):
    """With it they share 2 of 4 pixels; without, the first box has no area."""
    boxes = torch.tensor([[0.0, 0, 1, 0], [0, 0, 1, 1]])  # flat without the offset
    scores = torch.tensor([0.9, 0.8])
    assert mmcv_ops.nms(boxes, scores, iou_threshold=0.4, offset=0)[1].tolist() == [0, 1]
    assert mmcv_ops.nms(boxes, scores, iou_threshold=0.4, offset=1)[1].tolist() == [0]


ROI_CASES = [  # feature map, box, mean of each bin, gradient of their sum: mmcv's own tests
    ([[[1.0, 2], [3, 4]]], 1.0, [[[1, 1.25], [1.5, 1.75]]], [[[3.0625, 0.4375], [0.4375, 0.0625]]]),
    (
        [[[1.0, 2, 5, 6], [3, 4, 7, 8], [9, 10, 13, 14], [11, 12, 15, 16]]],
        3.0,
        [[[1.9375, 4.75], [7.5625, 10.375]]],
        [torch.outer(v := torch.tensor([0.6875, 0.625, 0.625, 0.0625]), v).tolist()],
    ),
]


def test_roi_align_is_mmcvs(mmcv_ops):
    for values, end, expected, gradient in ROI_CASES:
        for dtype in (torch.float, torch.double):
            x = torch.tensor([values], dtype=dtype, requires_grad=True)
            box = torch.tensor([[0.0, 0, 0, end, end]], dtype=dtype)
            out = mmcv_ops.roi_align(x, box, (2, 2), 1.0, 2, "avg", True)
            out.sum().backward()
            torch.testing.assert_close(out, torch.tensor([expected], dtype=dtype))
            torch.testing.assert_close(x.grad, torch.tensor([gradient], dtype=dtype))


def test_roi_align_has_torchvisions_gradients(mmcv_ops):
    x = torch.randn(2, 3, 12, 16, dtype=torch.double, requires_grad=True)
    boxes = torch.tensor([[0, 1.5, 2, 9, 11], [1, -4, 3, 40, 10], [1, 5, 5, 5, 5]]).double()
    for sampling, aligned in ((0, True), (2, False)):
        args = (boxes, (3, 2), 0.5, sampling)
        ours = mmcv_ops.roi_align(x, *args, "avg", aligned)
        theirs = torchvision.ops.roi_align(x, *args, aligned)
        weight = torch.randn_like(ours)
        torch.testing.assert_close(ours, theirs)
        for one, other in zip(
            torch.autograd.grad((ours * weight).sum(), x),
            torch.autograd.grad((theirs * weight).sum(), x),
        ):
            torch.testing.assert_close(one, other)
    assert torch.autograd.gradcheck(
        lambda y: mmcv_ops.roi_align(y, boxes, (2, 2), 0.5, 0, "avg", True), x
    )


FOCAL_CASES = [  # logits, classes, mean over samples, gradient: mmcv's own tests
    (
        [[1.0, 0], [0, 1]],
        [0, 1],
        0.13562961,
        [[-0.00657264, 0.11185755], [0.11185755, -0.00657264]],
    ),
    (
        [[1.0, 0, -1], [0, 1, 2]],
        [2, 1],
        1.10251057,
        [[0.28808805, 0.11185755, -0.09602935], [0.11185755, -0.00657264, 0.40376765]],
    ),
]


def test_sigmoid_focal_loss_is_mmcvs(mmcv_ops):
    for logits, classes, expected, gradient in FOCAL_CASES:
        x = torch.tensor(logits, requires_grad=True)
        loss = mmcv_ops.sigmoid_focal_loss(x, torch.tensor(classes), 2.0, 0.25, None, "mean")
        loss.backward()
        assert loss.item() == pytest.approx(expected, rel=1e-5)
        torch.testing.assert_close(x.grad, torch.tensor(gradient), rtol=1e-4, atol=1e-6)


def test_background_is_no_class_of_the_focal_loss(mmcv_ops):
    x = torch.randn(4, 3, dtype=torch.double, requires_grad=True)
    target, weight = torch.tensor([0, 2, 3, 1]), torch.tensor([1.0, 2.0, 0.5]).double()
    hot = torch.nn.functional.one_hot(target, 4)[:, :3].double()
    rows = torch.tensor([1.0, 0.5, 1.0, 2.0]).double()[:, None]  # background has no weight
    expected = torchvision.ops.sigmoid_focal_loss(x, hot, alpha=0.3, gamma=1.5) * rows

    def loss(y):
        return mmcv_ops.sigmoid_focal_loss(y, target, 1.5, 0.3, weight, "sum")

    torch.testing.assert_close(loss(x), expected.sum())
    assert torch.autograd.gradcheck(loss, x)


@pytest.fixture
def no_compiled_ops():
    if run("import importlib, mmcv; importlib.import_module('mmcv._ext')").returncode == 0:
        pytest.skip("this mmcv has compiled operators")


def test_other_operators_raise_and_the_warning_comes_once(no_compiled_ops):
    result = run("""
        from mmdyt.compat import heal_mmcv_ops
        assert heal_mmcv_ops() and heal_mmcv_ops()
        import mmcv.ops, torch
        for call in (
            lambda: mmcv.ops.soft_nms(torch.rand(2, 4), torch.rand(2)),
            lambda: mmcv.ops.roi_align(
                torch.rand(1, 1, 4, 4), torch.zeros(1, 5), 2, 1.0, 0, "max", True
            ),
        ):
            try:
                call()
            except NotImplementedError as error:
                print(error)
    """)
    assert result.returncode == 0, result.stderr
    assert "softnms is one of mmcv's compiled operators" in result.stdout
    assert "--no-build-isolation" in result.stdout and "pool_mode='max'" in result.stdout
    assert result.stderr.count("MMDYT_NO_COMPAT=1 switches that off") == 1


def test_opt_out_leaves_mmcv_without_operators(no_compiled_ops):
    result = run(
        "from mmdyt.compat import heal_mmcv_ops; assert not heal_mmcv_ops(); import mmcv.ops",
        MMDYT_NO_COMPAT="1",
    )
    assert "No module named 'mmcv._ext'" in result.stderr


def test_a_compiled_module_wins(tmp_path):
    """Whatever lies in mmcv's folder is found first, also when it comes later."""
    (tmp_path / "_ext.py").write_text("nms = 'compiled'")
    result = run(f"""
        from mmdyt.compat import heal_mmcv_ops
        heal_mmcv_ops()
        import mmcv
        mmcv.__path__.insert(0, {str(tmp_path)!r})
        from mmcv import _ext
        assert _ext.nms == "compiled"
    """)
    assert result.returncode == 0, result.stderr
    assert "MMDYT_NO_COMPAT" not in result.stderr


def test_nothing_is_served_without_mmdetection(tmp_path):
    """Whoever does not detect has the same mmcv as before."""
    result = run("""
        import sys
        sys.modules["mmdet"] = None
        before = list(sys.meta_path)
        import importlib.util
        real = importlib.util.find_spec
        importlib.util.find_spec = lambda name, *rest: (
            None if name == "mmdet" else real(name, *rest)
        )
        import mmdyt
        assert sys.meta_path == before
    """)
    assert result.returncode == 0, result.stderr
