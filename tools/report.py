"""Write one self-contained page of HTML about finished runs; nothing is loaded from a network.

python tools/report.py work_dirs/my_run                 # to work_dirs/my_run/report.html
python tools/report.py work_dirs/demo --out demo.html   # all runs below, compared
"""

from __future__ import annotations

import argparse
import logging

from mmdyt.engine.cli import require_writable, tool
from mmdyt.engine.report import write_report


@tool
def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "work_dirs", nargs="+", help="work dirs of tested runs, or folders of a suite or a demo"
    )
    parser.add_argument("--out", help="an .html file; default: report.html in the first work dir")
    args = parser.parse_args()
    if args.out:
        require_writable(args.out, "--out", (".html",))
    logging.disable(logging.INFO)  # mmengine tells of every file that it loads
    print(f"Page: {write_report(args.work_dirs, args.out)}")


if __name__ == "__main__":
    main()
