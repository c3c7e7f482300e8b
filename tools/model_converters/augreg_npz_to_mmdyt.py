"""Convert Google's AugReg .npz of a ViT to a backbone checkpoint of mmdyt."""

import sys

from mmdyt.converters import command_line

if __name__ == "__main__":
    sys.exit(command_line("augreg_npz", __doc__))
