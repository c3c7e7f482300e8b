"""Convert Google's AugReg .npz of a ViT to a backbone checkpoint of mmdyt."""

from mmdyt.converters import command_line
from mmdyt.engine.cli import tool


@tool
def main() -> None:
    """Convert a file."""
    command_line("augreg_npz", __doc__)


if __name__ == "__main__":
    main()
