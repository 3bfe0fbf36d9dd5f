"""What ``status`` shows of operators' directories (promise P10)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

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
    """One directory as it is shown."""

    operator: str
    #: A ``DirectoryCondition``, or ``unattended``: no daemon that lives has said how it is.
    condition: str
    health: DirectoryHealth | None = None

    @property
    def well(self) -> bool:
        """Whether it answers from what lies behind it, as far as is known."""
        return self.condition not in {"outdated", "down"}


def directories(app: App, living: Collection[str]) -> Sequence[ShownDirectory]:
    """Return the directories of the config's operators, by operator; ``living`` are the daemons that do."""
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
    """Print them as a table, and below it what is wrong with single rows."""
    now = datetime.now(UTC)
    output.table(("directory", "condition", "loaded", "#rows", "what is wrong, and what to do"), [_row(one, now) for one in shown])
    for one in shown:
        health = one.health
        if health is None:
            continue
        said = [*health.faults, *(f"warning: {text}" for text in health.warnings)]
        for text in said[:_FEW]:
            click.echo(output.clean(f"Directory {one.operator}: {text}"))
        if len(said) > _FEW:
            more = f"{len(said) - _FEW} more; see `gatewayd directory load --operator {one.operator}`"
            click.echo(output.clean(f"Directory {one.operator}: {more}."))


def _row(one: ShownDirectory, now: datetime) -> tuple[str, ...]:
    health = one.health
    loaded = f"{output.span((now - health.loaded_at).total_seconds())} ago" if health and health.loaded_at else "never"
    rows = f"{sum(count for _, count in health.rows):,}" if health and health.rows else ""
    return one.operator, one.condition, loaded, rows, health.error if health and one.condition != "unattended" else ""


def json_directories(shown: Sequence[ShownDirectory]) -> None:
    """Print them as lines of JSON."""
    for one in shown:
        health = one.health
        row: dict[str, output.Json] = {"type": "directory", "operator": one.operator, "condition": one.condition}
        known: dict[str, output.Json] = {
            "owner": health.holder if health and one.condition != "unattended" else None,
            "loaded_at": output.moment(health.loaded_at) if health else None,
            "looked_at": output.moment(health.looked_at) if health else None,
            "rows": dict(health.rows) if health else {},
            "faults": list(health.faults) if health else [],
            "warnings": list(health.warnings) if health else [],
            "error": (health.error or None) if health else None,
        }
        output.json_line(row | known)
