"""What every image run shares: scope, hooks, logging, seed."""

default_scope = "mmpretrain"
default_hooks = dict(
    timer=dict(type="IterTimerHook"),
    logger=dict(type="LoggerHook", interval=50),
    param_scheduler=dict(type="ParamSchedulerHook"),
    checkpoint=dict(type="mmdyt.CheckpointHook", interval=1, max_keep_ckpts=3),
    sampler_seed=dict(type="DistSamplerSeedHook"),
    visualization=dict(type="VisualizationHook", enable=False),
)
custom_hooks = [
    dict(type="mmdyt.PreflightHook"),
    dict(type="mmdyt.IterSeedHook"),
    dict(type="mmdyt.FiniteLossHook"),
    dict(type="mmdyt.DispatchStatsHook"),
    dict(type="mmdyt.AdapterCheckpointHook"),
]
env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method="fork", opencv_num_threads=0),
    dist_cfg=dict(backend="nccl"),
)
vis_backends = [dict(type="LocalVisBackend"), dict(type="TensorboardVisBackend")]
visualizer = dict(type="UniversalVisualizer", vis_backends=vis_backends)
log_level = "INFO"
load_from = None
resume = False
randomness = dict(seed=0, deterministic=False)
