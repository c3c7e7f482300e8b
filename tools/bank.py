r"""Keep adapters of several tasks on one frozen backbone, and test them in mixed batches.

A bank is a folder with ``<task>.safetensors`` and ``<task>.py``, its config, a task.

    python tools/bank.py add banks/vit-b16 pets work_dirs/pets/adapter.safetensors
    python tools/bank.py list banks/vit-b16
    python tools/bank.py test banks/vit-b16
"""

from __future__ import annotations

import argparse
import logging
import re
import shutil
import time
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import DATASETS, init_default_scope
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from rich.table import Table

from mmdyt.engine.adapter_bank import AdapterBank, bank_files
from mmdyt.engine.adapter_checkpoint import load_adapter
from mmdyt.engine.cli import positive_int, tool
from mmdyt.engine.work_dir import saved_config
from mmdyt.fileio import atomic_path, load_from_safetensors
from mmdyt.models.utils import collect_dispatch


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("add", "put a task's adapter and config into the bank"),
        ("list", "show the bank's tasks"),
        ("test", "test every task's set, their images mixed in each batch"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("bank", type=Path, help="folder of the bank")
        if name == "add":
            command.add_argument("task", help="a new name")
            command.add_argument("adapter", type=Path, help="adapter.safetensors in its work dir")
        if name == "test":
            command.add_argument("--batch-size", type=positive_int, default=32)
            command.add_argument("--device", default="cpu")
        if name != "list":
            command.add_argument("--base", help="the frozen backbone, if it was moved")
    return parser.parse_args()


def add(args: argparse.Namespace) -> None:
    """Refuse what does not fit the bank, else copy the adapter and its config into it."""
    if not re.fullmatch(r"[\w-]+", args.task):
        raise ValueError(f"a task's name has letters, digits, _ and - only, got {args.task!r}")
    has_tasks = any(args.bank.glob("*.safetensors"))
    bank = (
        AdapterBank.from_folder(args.bank, args.base) if has_tasks else AdapterBank({}, args.base)
    )
    bank.add(args.task, args.adapter)
    try:
        config = Config.fromfile(saved_config(args.adapter.parent))
    except FileNotFoundError as error:
        print(f"{error}: {args.task} can be used, but not tested")
    else:
        with atomic_path(args.bank / f"{args.task}.py") as path:
            config.dump(path)
    with atomic_path(args.bank / f"{args.task}.safetensors") as path:
        shutil.copyfile(args.adapter, path)
    print(f"{args.bank} holds {', '.join(bank.tasks)}")


def show(args: argparse.Namespace) -> None:
    """Print one row a task, from the files' own words."""
    table = Table(title=escape(str(args.bank)))
    for column in ("task", "classes", "dispatch", "trained, k", "file, KiB", "base"):
        left = column in ("task", "base")
        table.add_column(column, justify="left" if left else "right", overflow="fold")
    for task, file in bank_files(args.bank).items():
        content = load_from_safetensors(str(file))
        meta, tensors = content["meta"], content["state_dict"].values()
        if "resolved" not in meta:
            raise ValueError(f"{file} is no adapter file, and a bank holds nothing else")
        classes = (meta.get("dataset_meta") or {}).get("classes", ())
        base = (meta.get("pretrained") or {}).get("checkpoint", "-")
        table.add_row(
            task,
            str(len(classes) or "-"),
            str(meta["resolved"]["backbone"].get("dispatch")),
            f"{sum(tensor.numel() for tensor in tensors) / 1e3:.1f}",
            f"{file.stat().st_size / 1024:.0f}",
            escape(base),
        )
    Console().print(table)


@dataclass
class TaskTest:
    """The test set of a task, and what counts on it.

    Args:
        dataset: The test set.
        evaluator: Its metrics.
        rates: Activation rates of the images so far.
    """

    dataset: Any
    evaluator: Evaluator
    rates: list[float]

    @classmethod
    def of(cls, task: str, config: Path) -> TaskTest:
        """Build what the task's config names."""
        if not config.is_file():
            raise FileNotFoundError(
                f"task {task!r} has no config at {config}: add its adapter from its work dir"
            )
        cfg = Config.fromfile(config)
        init_default_scope(cfg.get("default_scope", "mmpretrain"))
        dataset = DATASETS.build(cfg.test_dataloader.dataset)
        evaluator = Evaluator(cfg.test_evaluator)
        evaluator.dataset_meta = dataset.metainfo
        return cls(dataset, evaluator, [])


@torch.inference_mode()
def test(args: argparse.Namespace) -> None:
    """Test all tasks at once, and compare with each task's own model."""
    files = bank_files(args.bank)
    tests = {task: TaskTest.of(task, file.with_suffix(".py")) for task, file in files.items()}
    bank = AdapterBank(files, args.base).to(args.device)
    # One image of each task in turn, so that every batch is mixed.
    turns = zip_longest(*([(task, i) for i in range(len(t.dataset))] for task, t in tests.items()))
    order = [one for one in chain.from_iterable(turns) if one is not None]
    seconds = 0.0
    for start in track(range(0, len(order), args.batch_size), "Testing", transient=True):
        tasks, samples = [], []
        for task, index in order[start : start + args.batch_size]:
            tasks.append(task)
            samples.append(tests[task].dataset[index])
        images = [sample["inputs"] for sample in samples]
        begin = time.perf_counter()
        with collect_dispatch(bank) as records:
            predicted = bank.predict(images, tasks, [sample["data_samples"] for sample in samples])
        seconds += time.perf_counter() - begin
        for position, (task, sample) in enumerate(zip(tasks, predicted)):
            tests[task].evaluator.process([sample])
            tests[task].rates += [float(record.rate()[position]) for record in records]
    table = Table(title=f"{len(files)} tasks in mixed batches of {args.batch_size}")
    for column in ("task", "images", "metrics", "activation rate", "from its own model"):
        table.add_column(column, justify="left" if column in ("task", "metrics") else "right")
    for task, one in tests.items():
        metrics = one.evaluator.evaluate(len(one.dataset))
        rate = f"{sum(one.rates) / len(one.rates):.3f}" if one.rates else "-"
        text = ", ".join(f"{name} {value:.2f}" for name, value in metrics.items())
        gap = difference(bank, task, files[task], one.dataset, args)
        table.add_row(task, str(len(one.dataset)), text, rate, f"{gap:.1e}")
    Console().print(table)
    print(f"{len(order) / seconds:.1f} images/s on {args.device}. The last column is the largest")
    print("difference of logits, the task's first images mixed with those of the others.")


def difference(
    bank: AdapterBank, task: str, file: Path, dataset: Any, args: argparse.Namespace
) -> float:
    """Largest difference between a task's logits in a mixed batch and its own model's."""
    model = load_adapter(file, args.base).to(args.device)
    number = min(8, len(dataset))
    raw = [dataset[index]["inputs"] for index in range(number)]
    images = model.data_preprocessor(dict(inputs=raw), False)["inputs"]
    tasks = [task] * number + [other for other in bank.tasks if other != task]
    mixed = torch.cat([images, images[:1].expand(len(tasks) - number, -1, -1, -1)])
    given = torch.stack(bank(mixed, tasks)[:number])
    return float((given - model(images)).abs().max())


@tool
def main() -> None:
    """Run the command."""
    args = parse_args()
    logging.disable(logging.INFO)  # mmengine tells of every file and every missing key
    {"add": add, "list": show, "test": test}[args.command](args)


if __name__ == "__main__":
    main()
