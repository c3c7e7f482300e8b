"""What every detection run shares: mmdetection's scope, our detectors and data sets."""

_base_ = "default_runtime.py"

custom_imports = dict(imports=["mmdyt.integrations.mmdet"], allow_failed_imports=False)
default_scope = "mmdet"
default_hooks = dict(visualization=dict(_delete_=True, type="DetVisualizationHook"))
vis_backends = [dict(type="LocalVisBackend"), dict(type="TensorboardVisBackend")]
visualizer = dict(_delete_=True, type="DetLocalVisualizer", vis_backends=vis_backends)
# Heads with other numbers of classes than the data are refused by mmdetection's own hook.
custom_hooks = [*_base_.custom_hooks, dict(type="NumClassCheckHook")]
