"""The operators' directories in ``status``: condition, rows and faults, as a table and as JSON (promise P10)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gatewayd.cli import output

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from gatewayd.api.directory import DirectoryHealth
    from gatewayd.cli.app import App

__all__ = ["ShownDirectory", "directories", "json_directories", "print_directories"]

#: At most so many faults and warnings of a directory are shown to people.
_FEW = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownDirectory:
    """A directory in ``status``."""

    operator: str
    #: A ``DirectoryCondition``, or ``unattended`` if no living daemon has reported on it.
    condition: str
    health: DirectoryHealth | None = None

    @property
    def well(self) -> bool:
        """Whether it answers from its present files, as far as known."""
        return self.condition not in {"outdated", "down"}


def directories(app: App, living: Collection[str]) -> Sequence[ShownDirectory]:
    """Return the directories of the config's operators, by operator. ``living`` names the daemons that are alive."""
    healths = {one.operator: one for one in app.store.directories()}
    shown = []
    for name, spec in sorted(app.specs.items()):
        if spec.directory is None or spec.faulty:
            continue
        found = healths.get(name)
        attended = found is not None and found.holder in living
        condition = found.condition if found and attended else "new" if living and found is None else "unattended"
        shown.append(ShownDirectory(operator=name, condition=condition, health=found))
    return shown


def print_directories(shown: Sequence[ShownDirectory]) -> None:
    """Print directories as a table, and below it the faults of single rows."""
    now = datetime.now(UTC)
    output.table(("directory", "condition", "loaded", "#rows", "what is wrong, and what to do"), [_row(one, now) for one in shown])
    for one in shown:
        health = one.health
        if health is None:
            continue
        problems = [*health.faults, *(f"warning: {text}" for text in health.warnings)]
        for text in problems[:_FEW]:
            output.say(f"Directory {one.operator}: {text}")
        if len(problems) > _FEW:
            more = f"{len(problems) - _FEW} more; see `gatewayd directory load --operator {one.operator}`"
            output.say(f"Directory {one.operator}: {more}.")


def _row(one: ShownDirectory, now: datetime) -> tuple[str, ...]:
    health = one.health
    loaded = f"{output.span((now - health.loaded_at).total_seconds())} ago" if health and health.loaded_at else "never"
    rows = f"{sum(count for _, count in health.rows):,}" if health and health.rows else ""
    return one.operator, one.condition, loaded, rows, health.error if health and one.condition != "unattended" else ""


def json_directories(shown: Sequence[ShownDirectory]) -> None:
    """Print directories as lines of JSON."""
    for one in shown:
        health = one.health
        row: dict[str, output.Json] = {
            "type": "directory",
            **output.fields(one, "operator", "condition"),
            "owner": health.holder if health and one.condition != "unattended" else None,
            **output.fields(health, "loaded_at", "looked_at"),
            "rows": dict(health.rows) if health else {},
            **(output.fields(health, "faults", "warnings") if health else {"faults": [], "warnings": []}),
            "error": health.error or None if health else None,
        }
        output.json_line(row)
