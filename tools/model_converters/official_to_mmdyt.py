"""Convert a checkpoint of the method's released code: images, video or segmentation."""

from mmdyt.converters import command_line
from mmdyt.engine.cli import tool


@tool
def main() -> None:
    """Convert a file."""
    command_line("official", __doc__)


if __name__ == "__main__":
    main()
