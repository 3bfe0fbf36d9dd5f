"""Mail of operators and users that are no longer in the config: it is there, and the administrator alone sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.cli import output

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["former_lines"]


def former_lines(former: Mapping[tuple[str, str | None], int]) -> Iterator[str]:
    """Yield a line for each operator or user, with what to do."""
    for (operator, user), number in sorted(former.items(), key=lambda one: (one[0][0], one[0][1] or "")):
        who = f"user {user} of operator {operator}" if user else f"operator {operator}"
        back = f"`users` of operators/{operator}.yaml" if user else f"operators/{operator}.yaml"
        seen = "only `gatewayd mail list --all-operators` shows them"
        verb = "is" if number == 1 else "are"
        gone = "which is no longer in the config" if user is None else "who is no longer in the config"
        yield f"There {verb} {output.count(number, 'filing')} of {who}, {gone}: {seen}. If that is a mistake, put {back} right."
