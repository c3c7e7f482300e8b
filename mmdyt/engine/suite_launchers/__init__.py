"""Ways to execute the runs of a suite; each module needs its own engine."""
