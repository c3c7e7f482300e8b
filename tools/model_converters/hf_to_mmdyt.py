"""Convert Hugging Face's ViT or DINOv2 (.safetensors, .bin, .onnx) to a backbone of mmdyt."""

from mmdyt.converters import command_line
from mmdyt.engine.cli import tool


@tool
def main() -> None:
    """Convert a file."""
    command_line("hf", __doc__)


if __name__ == "__main__":
    main()
