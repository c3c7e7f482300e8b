"""Convert a checkpoint of the method's released code to a classifier of mmdyt."""

import sys

from mmdyt.converters import command_line

if __name__ == "__main__":
    sys.exit(command_line("official", __doc__))
