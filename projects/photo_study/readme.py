"""The photo study's main results as the README shows them, between two marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from projects.study.study import Study, activation_rate, saved_mflops
from projects.study.tables import mean_of_tasks, table

README = Path("README.md")
BEGIN = "<!-- photo study: `make study-photo-report` writes this -->"
END = "<!-- photo study: end -->"
MERGED = ("lora", "ssf")
HEAD = ["method", "trained, K", "GFLOPs", "active tokens", "images/s", "mean accuracy, %"]


def float32_titles(study: Study, methods: Sequence[str]) -> list[str]:
    """Titles of those methods that trained in float32; the others did in bfloat16."""
    chosen = {name: study.suite.methods[name] for name in methods}
    key = "optim_wrapper.type"
    return [each["title"] for each in chosen.values() if each["cfg_options"].get(key)]


def merged_note(study: Study, speed: Mapping[str, Any]) -> str:
    """Say which of the timed methods were merged into the backbone, if any was."""
    titles = [study.suite.methods[name]["title"] for name in MERGED if name in speed["speed"]]
    return f", {' and '.join(titles)} merged into the backbone" if titles else ""


def readme_section(study: Study, methods: Sequence[str], speed: Mapping[str, Any] | None) -> str:
    """The table, with a sentence about what its figures are.

    Args:
        study: The records with their suite.
        methods: Names of the rows; they ran on all tasks. If none did, there is nothing to show.
        speed: What ``measure_speed`` wrote, ``None`` if it was not run.

    Returns:
        Markdown.
    """
    if not methods:
        return ""
    rows = []
    for name in methods:
        first = next(r for r in study.records if r["method"] == name)
        dispatched = "dispatch/activation_rate" in first["metrics"]
        rows.append(
            [
                study.suite.methods[name]["title"],
                f"{first['params']['trainable'] / 1e3:.0f}",
                f"{-study.mean(name, saved_mflops) / 1e3:.3f}",
                f"{study.mean(name, activation_rate):.2f}" if dispatched else "-",
                f"{speed['speed'][name]:.0f}" if speed and name in speed["speed"] else "-",
                mean_of_tasks(study, name),
            ]
        )
    shown = table(HEAD, rows)
    seeds = sorted({record["seed"] for record in study.records if record["method"] in methods})
    word = "seeds" if len(seeds) > 1 else "seed"
    caption = f"Test accuracy, {len(study.suite.tasks)} tasks, {word} {', '.join(map(str, seeds))}"
    caption += "; ±: deviation over seeds that ran on all of them." if "±" in shown else "."
    if wide := float32_titles(study, methods):
        caption += f" Trained in float32: {'; '.join(wide)}; the others in bfloat16."
    if "lora" in methods:
        caption += " LoRA's GFLOPs are those of training, merged they are the linear probe's."
    if speed:
        caption += (
            f" Images/s: {study.suite.tasks[speed['task']]['title']}, batches of {speed['batch']}, "
            f"{speed['threads']} threads of {speed['host']['cpu']}{merged_note(study, speed)}."
        )
    return f"{shown}\n\n{caption}"


def between_marks(text: str, content: str) -> str:
    """Replace what stands between the marks.

    Args:
        text: The README.
        content: What is to stand there.

    Returns:
        The new text.

    Raises:
        ValueError: If the text lacks one of them.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{README} lacks the line {END if begin else BEGIN}")
    return f"{before}{BEGIN}\n\n{content}\n\n{END}{after}"
