"""Fixtures of the main suite, which these tests use too."""

from tests.conftest import digits_cfg, digits_root, run_main

__all__ = ["digits_cfg", "digits_root", "run_main"]
