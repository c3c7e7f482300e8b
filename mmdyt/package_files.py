"""Files that come with mmdyt: its configs, tools and assets, found from any folder."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE

PACKAGE = Path(__file__).parent
# setup.py puts them there; in a checkout that was never installed they lie beside the package.
ROOT = PACKAGE / ".mim" if (PACKAGE / ".mim").is_dir() else PACKAGE.parent
PREFIX = f"{PACKAGE.name}::"


def package_file(path: str | Path) -> Path:
    """Find a file where its path says, or else among the files that come with mmdyt.

    Args:
        path: A path, such as ``'assets/fashion_items.npz'`` or
            ``'configs/image/digits/vit-mini_dyt_digits.py'``.

    Returns:
        The path as it is if something is there, or if nothing of that path comes
        with mmdyt; otherwise that of the file that does.
    """
    path = Path(path).expanduser()
    shipped = ROOT / path
    return shipped if shipped.exists() and not path.exists() else path


def serve_config_bases() -> None:
    """Let ``_base_ = 'mmdyt::...'`` name a config that comes with mmdyt.

    ``import mmdyt`` does it. mmengine alone would build what such a base holds in
    the scope ``mmdyt``, where nothing of mmpretrain, mmsegmentation or mmaction2 is
    found; our configs are those of their ``default_scope``.
    """
    MODULE2PACKAGE[PACKAGE.name] = PACKAGE.name
    of_others = Config._get_cfg_path

    def get_cfg_path(cfg_path: str, filename: str) -> tuple[str, str | None]:
        if cfg_path.startswith(PREFIX):
            return str(ROOT / "configs" / cfg_path.removeprefix(PREFIX)), None
        return of_others(cfg_path, filename)

    Config._get_cfg_path = staticmethod(get_cfg_path)
