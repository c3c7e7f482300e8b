"""mmaction2 imports here, and a healthy install is left alone. A process a case."""

import os
import subprocess
import sys
import textwrap

import pytest

from tests.conftest import REPO

pytest.importorskip("decord", reason="mmaction2 is not installed")


def run(script: str, **env: str) -> subprocess.CompletedProcess:
    """Run a script of a user in a fresh interpreter."""
    return subprocess.run(
        [sys.executable, "-W", "always::UserWarning", "-c", textwrap.dedent(script)],
        cwd=REPO,
        env=os.environ | env,
        capture_output=True,
        text=True,
    )


def refused() -> bool:
    from importlib.metadata import version

    import mmcv

    return version("mmaction2") == "1.2.0" and mmcv.__version__.startswith("2.3.")


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
    assert result.stderr.count("MMDYT_NO_COMPAT=1 switches that off") == 1
    assert "lacks; install mmaction2 from its source" in result.stdout


@needs_repair
def test_opt_out_gives_the_host_error_back():
    result = run("import mmdyt.integrations.mmaction", MMDYT_NO_COMPAT="1")
    assert result.returncode
    assert "MMCV==" in result.stderr


# A healthy install: a package tree with the files that the wheel forgot and an
# mmcv that mmaction accepts, before the installed ones on the path.
def healthy(tmp_path, version: str, drn: bool) -> str:
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
    return f"""
        import sys; sys.path.insert(0, {str(tmp_path)!r})
        import mmcv
    """


def test_healthy_install_is_untouched(tmp_path):
    result = run(
        healthy(tmp_path, "1.2.0", drn=True)
        + """
        mmcv.__version__ = "2.1.0"
        from mmdyt.compat import heal_mmaction
        before = list(sys.meta_path)
        assert heal_mmaction() is False
        assert sys.meta_path == before and "mmaction" not in sys.modules
        from mmaction.models.localizers import DRN
        assert DRN.real
        """
    )
    assert result.returncode == 0, result.stderr
    assert "MMDYT_NO_COMPAT" not in result.stderr


def test_real_drn_wins_where_only_the_version_is_refused(tmp_path):
    result = run(
        healthy(tmp_path, "1.2.0", drn=True)
        + """
        mmcv.__version__ = "2.3.9"
        from mmdyt.compat import heal_mmaction
        assert heal_mmaction() is True
        import mmaction
        assert mmaction.SEEN == "2.1.0" and mmcv.__version__ == "2.3.9"
        from mmaction.models.localizers import DRN
        assert DRN.real
        """
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("mmaction, mmcv", [("1.3.0", "2.3.6"), ("1.2.0", "2.9.0")])
def test_untested_versions_keep_their_own_check(tmp_path, mmaction, mmcv):
    result = run(
        healthy(tmp_path, mmaction, drn=True)
        + f"""
        mmcv.__version__ = {mmcv!r}
        from mmdyt.compat import heal_mmaction
        assert heal_mmaction() is False
        import mmaction
        assert mmaction.SEEN == {mmcv!r}
        """
    )
    assert result.returncode == 0, result.stderr
