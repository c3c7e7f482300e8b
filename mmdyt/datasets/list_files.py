"""Annotation lists: a path and a label on every line."""

from __future__ import annotations

from pathlib import Path


def check_list(
    path: Path, key: str, delimiter: str = " ", whole_path: bool = False, several: bool = False
) -> None:
    """Refuse a list that is missing, empty or has a line of another form.

    Args:
        path: The list.
        key: The config key that names it.
        delimiter: What stands between path and label. Defaults to ``' '``.
        whole_path: Whether the path may contain the delimiter. Defaults to
            ``False``.
        several: Whether a line may have several labels. Defaults to ``False``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: Naming the first bad line, its number and the file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{key}: no list at {path}")
    try:
        lines = path.read_text().splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{key}: {path} is no text file: {error}") from error
    if not lines:
        raise ValueError(f"{key}: {path} is empty")
    for number, line in enumerate(lines, 1):
        fields = line.strip().rsplit(delimiter, 1 if whole_path else -1)
        _, *labels = fields
        right = len(labels) > 0 if several else len(labels) == 1
        if not right or not all(label.lstrip("-").isdecimal() for label in labels):
            form = f"'<path>{delimiter}<label>' with an integer label"
            raise ValueError(f"{key}: {path}, line {number} is {line!r}, not {form}")
