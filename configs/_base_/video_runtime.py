"""What every video run shares: mmaction2's scope, our recognizer, a preflight of fewer files.

Broken videos are skipped and counted by ``mmdyt.SkippingVideoDataset``.
"""

_base_ = "default_runtime.py"

custom_imports = dict(imports=["mmdyt.integrations.mmaction"], allow_failed_imports=False)
default_scope = "mmaction"
custom_hooks = [
    dict(type="mmdyt.PreflightHook", max_decode=10_000),
    dict(type="mmdyt.IterSeedHook"),
    dict(type="mmdyt.FiniteLossHook"),
    dict(type="mmdyt.DispatchStatsHook"),
    dict(type="mmdyt.AdapterCheckpointHook"),
]
vis_backends = [dict(type="LocalVisBackend"), dict(type="TensorboardVisBackend")]
visualizer = dict(_delete_=True, type="ActionVisualizer", vis_backends=vis_backends)
