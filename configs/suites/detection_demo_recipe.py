r"""Recipe of the detection demo on blood cells: what DyT needs in 240 iterations.

Trains on the 205 photographs of BCCD's train list and chooses on the 87 of val; the test list is
not read. It runs in ``.venv-detection``, and this writes the lists:

    python tools/dataset_converters/voc_to_coco.py data/BCCD_Dataset/BCCD data/bccd \
        --classes RBC WBC Platelets --splits train val
"""

title = "Detection demo: recipe"
metric = "coco/bbox_mAP"
_val = {}
for _loop in ("val", "test"):
    _val[f"{_loop}_dataloader.dataset.ann_file"] = "bccd/val.json"
    _val[f"{_loop}_evaluator.ann_file"] = "data/bccd/val.json"
tasks = {
    "blood-cells": dict(
        title="Blood cells",
        cfg_options={"train_dataloader.dataset.ann_file": "bccd/train.json", **_val},
    )
}


def _method(title: str, leaf: str, **options) -> dict:
    return dict(
        title=title,
        config=f"configs/detection/demo/{leaf}_vit-s14_faster-rcnn_blood-cells.py",
        cfg_options=options,
    )


# A step of AdamW on a dispatcher moves its logits by about the learning rate times the L1 norm of
# the tokens it reads. These are the pre-trained model's by layer, on 24 photographs; with one
# learning rate for all, the rate loss alone closes the last layers and leaves the first open.
_NORMS = [24.1, 14.3, 11.8, 12.5, 14.7, 20.7, 24.2, 34.7, 49.5, 72.7, 115.0, 605.2]
_even = {
    "optim_wrapper.paramwise_cfg": dict(
        custom_keys={
            f"layers.{layer}.dispatcher": dict(lr_mult=round(70 / norm, 2))
            for layer, norm in enumerate(_NORMS)
        }
    )
}
_early = {"custom_hooks.6.end": 0.5}  # of the RateScheduleHook
_scale = {"model.backbone.adapter.scale": 1.0}
_complete = {"model.dyt.complete_weight": 1.0, "model.dyt.distill_weight": 1.0}
methods = {
    "linear": _method("Linear probe", "linear"),
    "adaptformer": _method("AdaptFormer", "adaptformer"),
    "adaptformer-scale1": _method("AdaptFormer, scale 1", "adaptformer", **_scale),
    "dyt": _method("DyT", "dyt"),
    "dyt-early": _method("DyT, target at half time", "dyt", **_early),
    "dyt-even": _method("DyT, layers close alike, target at half time", "dyt", **_even, **_early),
    "dyt-even-scale1": _method("The same, scale 1", "dyt", **_even, **_early, **_scale),
    "dyt-even-complete": _method(
        "The same, with the complete model", "dyt", **_even, **_early, **_complete
    ),
}
seeds = [0, 1, 2]
