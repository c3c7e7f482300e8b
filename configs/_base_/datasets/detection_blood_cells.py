"""Blood cells (BCCD): boxes of 3 classes in 364 photographs, resized to 168 x 126.

The photographs are those of a clone of Shenggan/BCCD_Dataset in ``data``;
``tools/dataset_converters/voc_to_coco.py`` makes the lists from its XML. Training is
on the 292 photographs of its trainval list, testing on the 72 of test.
"""

metainfo = dict(
    classes=("RBC", "WBC", "Platelets"),
    palette=[(238, 102, 119), (68, 119, 170), (204, 187, 68)],
)
photographs = dict(
    type="mmdyt.CheckedCocoDataset",
    data_root="data",
    data_prefix=dict(img="BCCD_Dataset/BCCD/JPEGImages/"),
    metainfo=metainfo,
)
resize = dict(type="Resize", scale=(168, 126), keep_ratio=True)
boxes = dict(type="LoadAnnotations", with_bbox=True)
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(
        **photographs,
        ann_file="bccd/trainval.json",
        pipeline=[
            dict(type="LoadImageFromFile"),
            boxes,
            resize,
            dict(
                type="RandomFlip",
                prob=[0.25, 0.25, 0.25],
                direction=["horizontal", "vertical", "diagonal"],
            ),
            dict(type="PackDetInputs"),
        ],
    ),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        **photographs,
        ann_file="bccd/test.json",
        test_mode=True,
        pipeline=[
            dict(type="LoadImageFromFile"),
            resize,
            boxes,
            dict(
                type="PackDetInputs",
                meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
            ),
        ],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type="CocoMetric", ann_file="data/bccd/test.json", metric="bbox")
test_evaluator = val_evaluator
