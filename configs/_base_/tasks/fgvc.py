"""Fine-grained sets under the full sets' schedule. The files in ``fgvc/`` are the five sets.

The paper has no runs on them, so the schedule is our choice.
"""

_base_ = ["../datasets/fgvc.py", "../schedules/full_adamw_100e.py", "../default_runtime.py"]
