"""Check all images before training starts."""

from __future__ import annotations

import mmengine.dist as dist
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper

from mmdyt.datasets.preflight import find_problems, report
from mmdyt.registry import HOOKS


@HOOKS.register_module()
class PreflightHook(Hook):
    """Refuse to train on a data set with missing or unreadable images.

    One process looks at every file of the training, validation and test sets,
    and all of them stop with one report: a broken test list should not wait for
    the end of a training. A run without validation has its training set checked
    only. This costs about a second for 1,000
    images on a local disk. Of large data sets only the presence of the files is
    checked, which the log says.

    Args:
        max_decode (int): Largest data set whose images are decoded.
            Defaults to 100,000.
    """

    priority = "HIGHEST"

    def __init__(self, max_decode: int = 100_000) -> None:
        self.max_decode = max_decode

    def before_train(self, runner) -> None:
        """Check the data sets that the run will read.

        Raises:
            ValueError: With every problem, up to 20 in full.
        """
        loaders = {"train_dataloader": runner.train_dataloader}
        if runner.val_loop is not None:
            loaders["val_dataloader"] = runner.val_dataloader
            # Most configs test on what they validate on: one look is enough.
            test = runner.cfg.get("test_dataloader")
            if test not in (None, runner.cfg.get("val_dataloader")):
                loaders["test_dataloader"] = runner.test_dataloader
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        num_classes = getattr(getattr(model, "head", None), "num_classes", None)
        found: list[str] = []
        if dist.is_main_process():
            for name, loader in loaders.items():
                decode = len(loader.dataset) <= self.max_decode
                if not decode:
                    runner.logger.info(f"{name}: over {self.max_decode} samples, none is decoded")
                problems = find_problems(loader.dataset, num_classes, decode)
                if problems:
                    found.append(report(problems, name))
        dist.broadcast_object_list(messages := [found])
        if messages[0]:
            raise ValueError("\n".join(messages[0]))
