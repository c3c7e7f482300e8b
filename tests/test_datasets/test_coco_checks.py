"""Annotations that do not fit are listed, odd ones counted."""

from mmdyt.datasets.coco_checks import odd_boxes, wrong_references


def content(*annotations: dict) -> dict:
    """Two images of 40 x 30 px and two categories."""
    images = [dict(id=i, file_name=f"{i}.jpg", width=40, height=30) for i in (1, 2)]
    categories = [dict(id=5, name="cat"), dict(id=7, name="dog")]
    base = dict(image_id=1, category_id=5, bbox=[1, 1, 9, 9], area=81)
    full = [dict(base, id=index) | each for index, each in enumerate(annotations)]
    return dict(images=images, categories=categories, annotations=full)


def test_what_fits_is_passed():
    good = content({}, dict(image_id=2, category_id=7, bbox=[0, 0, 40, 30]))
    assert wrong_references(good, ("cat", "dog")) == [] == odd_boxes(good)


def test_what_does_not_fit_is_named():
    bad = content(dict(category_id=6), dict(image_id=3), dict(category_id=7))
    assert [tuple(problem) for problem in wrong_references(bad, ("cat", "cow"))] == [
        ("class 'cow'", "class", "is not in the file, which has ['cat', 'dog']"),
        ("1.jpg", "category", "category 6 is none of {5: 'cat', 7: 'dog'}"),
        ("annotation 1", "image", "is of image 3, which is not listed"),
        ("1.jpg", "category", "category 7 ('dog') is none of ['cat', 'cow']"),
    ]


def test_the_order_of_the_classes_is_the_files():
    """mmdetection numbers classes as the file has them, and names them as the config does."""
    (problem,) = wrong_references(content({}), ("dog", "cat"))
    assert problem.kind == "order" and "['cat', 'dog'] in the file" in problem.detail
    twice = content({})
    twice["categories"].append(dict(id=9, name="cat"))
    assert [each.kind for each in wrong_references(twice, ("cat", "dog"))] == ["order"]


def test_boxes_that_are_not_boxes_are_named():
    bad = content(dict(bbox=[1, 2, 3]), {})
    del bad["annotations"][1]["area"]
    assert [problem.kind for problem in wrong_references(bad, ("cat", "dog"))] == ["box", "box"]


def test_odd_boxes_and_empty_images_are_counted():
    odd = content(
        dict(bbox=[3, 3, 0, 5]),
        dict(bbox=[35, 3, 9, 5], area=0),
        dict(bbox=[-9, 3, 0.5, 5]),
        dict(ignore=1),
    )
    assert [(problem.sample, problem.kind) for problem in odd_boxes(odd)] == [
        ("1.jpg", "zero-area"),
        ("1.jpg", "zero-area"),
        ("1.jpg", "outside"),
        ("1.jpg", "zero-area"),
        ("1.jpg", "outside"),
        ("1.jpg", "ignored"),
        ("1.jpg", "no objects"),
        ("2.jpg", "no objects"),
    ]
