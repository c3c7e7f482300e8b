"""Check all images, masks and videos before a run starts."""

from __future__ import annotations

from typing import Any

import mmengine.dist as dist
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import LinearParamScheduler

from mmdyt.datasets.preflight import find_problems, report
from mmdyt.registry import HOOKS


def _check_warmup(schedulers: list) -> None:
    for index, scheduler in enumerate(schedulers):
        if isinstance(scheduler, LinearParamScheduler) and scheduler.total_iters == 0:
            unit = "epoch" if scheduler.by_epoch else "iteration"
            raise ValueError(
                f"param_scheduler.{index} ({type(scheduler).__name__}) covers one {unit} of this "
                f"training set and would stay at start_factor={scheduler.start_factor}: raise its "
                f"end, or lower train_dataloader.batch_size"
            )


@HOOKS.register_module()
class PreflightHook(Hook):
    """Refuse to run on a data set with missing, unreadable or wrongly labelled files.

    One process looks at every file of the training, validation and test sets,
    and all of them stop with one report: a broken test list should not wait for
    the end of a training. A run without validation has its training set checked
    only, and a test its test set. Images, segmentation masks and videos are
    decoded on all cores; this costs about a second for 1,000 images on a local
    disk. Videos that ``dataset.max_unreadable_share`` allows are only logged.

    A warm-up that comes out at one iteration, as that of one epoch does for few
    images, is refused too: mmengine's ``LinearLR`` would never leave its start.

    Args:
        max_decode (int): How many samples of a data set are decoded at most,
            evenly spaced; of the others only the presence of their files is
            checked, which the log says. Defaults to 100,000.
    """

    priority = "HIGHEST"

    def __init__(self, max_decode: int = 100_000) -> None:
        self.max_decode = max_decode
        self.has_checked = False

    def before_train(self, runner) -> None:
        """Check the data sets that the training will read, and the warm-up over them.

        Raises:
            ValueError: With every problem, up to 20 in full.
        """
        schedulers = runner.param_schedulers
        _check_warmup(schedulers if isinstance(schedulers, list) else [])
        loaders = {"train_dataloader": runner.train_dataloader}
        if runner.val_loop is not None:
            loaders["val_dataloader"] = runner.val_dataloader
            # Most configs test on what they validate on: one look is enough.
            test = runner.cfg.get("test_dataloader")
            if test not in (None, runner.cfg.get("val_dataloader")):
                loaders["test_dataloader"] = runner.test_dataloader
            self.has_checked = True
        self._check(runner, loaders)

    def before_test(self, runner) -> None:
        """Check the test set, unless the training before did so.

        Raises:
            ValueError: With every problem, up to 20 in full.
        """
        if not self.has_checked:
            self._check(runner, {"test_dataloader": runner.test_dataloader})
            self.has_checked = True

    def _check(self, runner, loaders: dict[str, Any]) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        heads = [getattr(model, name, None) for name in ("head", "cls_head", "decode_head")]
        head = next((head for head in heads if head is not None), None)
        options: dict[str, Any] = dict(
            num_classes=getattr(head, "num_classes", None),
            ignore_index=getattr(head, "ignore_index", 255),
            max_decode=self.max_decode,
        )
        found: list[str] = []
        if dist.is_main_process():
            for name, loader in loaders.items():
                dataset = loader.dataset
                if len(dataset) > self.max_decode:
                    runner.logger.info(f"{name}: {self.max_decode} of {len(dataset)} are decoded")
                problems = find_problems(dataset, **options)
                if problems and self._are_allowed(dataset, problems):
                    runner.logger.warning(report(problems, name))
                elif problems:
                    found.append(report(problems, name))
        dist.broadcast_object_list(messages := [found])
        if messages[0]:
            raise ValueError("\n".join(messages[0]))

    @staticmethod
    def _are_allowed(dataset: Any, problems: list) -> bool:
        """Whether the data set says that training passes over so many files."""
        trains = not getattr(dataset, "test_mode", True)
        share = getattr(dataset, "max_unreadable_share", 0) if trains else 0
        skipped = all(problem.kind in ("missing", "unreadable") for problem in problems)
        return skipped and len(problems) <= share * len(dataset)
