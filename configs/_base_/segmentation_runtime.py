"""What every segmentation run shares: mmsegmentation's scope, iterations, our segmentor."""

_base_ = "default_runtime.py"

custom_imports = dict(imports=["mmdyt.integrations.mmseg"], allow_failed_imports=False)
default_scope = "mmseg"
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False),  # a test's figures stand at its iteration
    checkpoint=dict(type="mmdyt.CheckpointHook", by_epoch=False, interval=8000, max_keep_ckpts=3),
    visualization=dict(_delete_=True, type="SegVisualizationHook"),
)
log_processor = dict(by_epoch=False)
vis_backends = [dict(type="LocalVisBackend"), dict(type="TensorboardVisBackend")]
visualizer = dict(_delete_=True, type="SegLocalVisualizer", vis_backends=vis_backends)
