"""Choose the adapter's scale for every VTAB-1K task: train on 800 images, measure on the other 200.

The paper chose it per task and did not publish it. The test lists are not read.
"""

_base_ = "vtab1k.py"

title = "VTAB-1K, adapter scale by the 200 validation images"
methods = {
    "_delete_": True,
    **{
        f"dyt-s{scale}": dict(
            title=f"DyT, scale {scale}",
            config=_base_.dyt,
            cfg_options={
                "model.backbone.adapter.scale": scale,
                "train_dataloader.dataset.ann_file": "train800.txt",
                "val_dataloader.dataset.ann_file": "val200.txt",
                "test_dataloader.dataset.ann_file": "val200.txt",
            },
        )
        for scale in (0.01, 0.1, 1.0, 10.0)
    },
}
seeds = [0]
