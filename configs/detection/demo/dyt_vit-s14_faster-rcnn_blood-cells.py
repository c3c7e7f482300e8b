"""DyT (MLP dispatch, r = 0.5) on blood cells; ``make demo-det`` runs it.

A step of AdamW moves a dispatcher's logit by about the learning rate times the L1 norm of its
token, which is small in this ViT: 12 to 120 in all layers but the last. At the common rate logits
stay near the bias, the noise of training decides, and a test without it takes or drops whole
layers.
"""

_base_ = "adaptformer_vit-s14_faster-rcnn_blood-cells.py"

model = dict(
    backbone=dict(dispatch="mlp"),
    dyt=dict(
        _delete_=True, target_rate=0.5, rate_weight=2.0, complete_weight=1.0, distill_weight=1.0
    ),
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={".dispatcher.": dict(lr_mult=40.0)}))
custom_hooks = [*_base_.custom_hooks, dict(type="mmdyt.RateScheduleHook", end=0.5)]
