"""Convert a timm ViT state dict to a backbone checkpoint of mmdyt."""

import sys

from mmdyt.converters import command_line

if __name__ == "__main__":
    sys.exit(command_line("timm", __doc__))
