"""Count what became of killed runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Fate:
    """What became of one killed and resumed run.

    Args:
        torn: The kill left a torn file under the name of a whole one.
        lost: A checkpoint had been saved, and the newest whole one is older.
        resumed: The run that resumed came to its end.
        from_zero: It did so from the beginning, although a checkpoint had been saved.
        equal: Its end is that of the uninterrupted run, to the last bit.
        tidy: The files at its end are those of the uninterrupted run.
    """

    torn: bool
    lost: bool
    resumed: bool
    from_zero: bool
    equal: bool
    tidy: bool

    @property
    def good(self) -> bool:
        """Whether nothing was lost."""
        bad = self.torn or self.lost or self.from_zero
        return self.resumed and self.equal and self.tidy and not bad


class Tally:
    """Fates by kind of kill and by whose hooks wrote the checkpoints."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], list[Fate]] = {}

    def add(self, kind: str, hooks: str, fate: Fate) -> None:
        """Count one."""
        self.rows.setdefault((kind, hooks), []).append(fate)

    def __str__(self) -> str:
        """Lay out as a Markdown table."""
        names = [field.name.replace("_", " ") for field in fields(Fate)]
        lines = [
            f"| kills | checkpoints by | number | {' | '.join(names)} |",
            f"|---|---|{'---|' * (len(names) + 1)}",
        ]
        for (kind, hooks), fates in self.rows.items():
            counts = Counter(
                f.name for f in fields(Fate) for fate in fates if getattr(fate, f.name)
            )
            cells = [str(counts[field.name]) for field in fields(Fate)]
            lines.append(f"| {kind} | {hooks} | {len(fates)} | {' | '.join(cells)} |")
        return "\n".join(lines)
