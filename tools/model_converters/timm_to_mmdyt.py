"""Convert a timm ViT state dict to a backbone checkpoint of mmdyt."""

from mmdyt.converters import command_line
from mmdyt.engine.cli import tool


@tool
def main() -> None:
    """Convert a file."""
    command_line("timm", __doc__)


if __name__ == "__main__":
    main()
