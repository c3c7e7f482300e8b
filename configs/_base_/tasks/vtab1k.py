"""VTAB-1K's protocol: data, schedule, runtime. The files in ``vtab1k/`` are its 19 tasks."""

_base_ = ["../datasets/vtab1k.py", "../schedules/vtab_adamw_100e.py", "../default_runtime.py"]
