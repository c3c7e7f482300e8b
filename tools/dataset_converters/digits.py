"""Write scikit-learn's real handwritten digits to data/digits; nothing is downloaded."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmdyt.datasets.digits import write_digits
from mmdyt.engine.cli import tool


@tool
def main() -> None:
    """Write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("data/digits"))
    write_digits(parser.parse_args().root)


if __name__ == "__main__":
    main()
