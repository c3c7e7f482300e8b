"""Token dispatch beside any tuning, for the backbone (LoRA's: for the module inside).

A config with this file and one of ``tuning/`` as its bases says
``model = dict(backbone=_base_.dispatch, dyt=_base_.dyt)``.
"""

dispatch = dict(
    dispatch="mlp",  # 'mlp' | 'attn' | 'attn_mlp' | 'layer'
    dispatcher=dict(type="mmdyt.TokenDispatcher", tau=5.0, threshold=0.5),
)
dyt = dict(target_rate=0.5, rate_weight=2.0, complete_weight=1.0, distill_weight=1.0)
