"""A small real suite: the shipped ViT on scikit-learn's digits, three methods, two seeds.

``python tools/dataset_converters/digits.py`` writes the data. Minutes on two cores.
"""

title = "Digits"
metric = "accuracy/top1"
tasks = {"digits": dict(group="natural", title="Digits")}
methods = {
    name: dict(title=title_, config=f"configs/image/digits/vit-mini_{name}_digits.py")
    for name, title_ in [
        ("linear", "Linear probe"),
        ("adaptformer", "AdaptFormer"),
        ("dyt", "DyT r = 0.5"),
    ]
}
seeds = [0, 1]
