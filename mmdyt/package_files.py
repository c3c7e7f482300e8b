"""Files that come with mmdyt: its configs, tools and assets, found from any folder."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent
MIM = PACKAGE / ".mim"  # where setup.py puts them; a checkout has them beside the package


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
    shipped = (MIM if MIM.is_dir() else PACKAGE.parent) / path
    return shipped if shipped.exists() and not path.exists() else path
