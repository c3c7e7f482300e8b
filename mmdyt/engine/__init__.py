"""What runs around a model: checkpoints, hooks, launching."""
