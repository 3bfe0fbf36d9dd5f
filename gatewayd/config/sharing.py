"""Check with whom a personal account's file shares it: users of its operator, and nobody else."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from gatewayd.config.faults import hint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatewayd.config.checker import Checker
    from gatewayd.config.values import OperatorConfig

__all__ = ["check_sharing", "shared_with"]


def check_sharing(checker: Checker) -> None:
    """Check that a personal account, and no other, is shared, and with other users of its operator."""
    data = checker.document.data
    owner, given = data.get("user"), data.get("share")
    if "share" in data and not isinstance(owner, str):
        checker.fault(("share",), "share: expected it only in a personal account, one with 'user'", key=True)
        return
    operator = str(owner).partition("/")[0]
    for index, one in enumerate(given if isinstance(given, list) else []):
        if not isinstance(one, str):
            continue
        place = ("share", index)
        if one == owner:
            checker.fault(place, f"share[{index}]: expected other users than the account's own, found {one!r}")
        elif "/" in one and one.partition("/")[0] != operator:
            checker.fault(place, f"share[{index}]: expected a user of operator {operator!r}, the account's, found {one!r}")


def shared_with(checker: Checker, operators: Mapping[str, OperatorConfig], given: Sequence[str]) -> tuple[str, ...]:
    """Return the users that the account is shared with, by name. One who is not there costs the others nothing (promise P4)."""
    found: list[str] = []
    for index, one in enumerate(given):
        operator, _, user = one.partition("/")
        known = operators.get(operator)
        # Of a faulty operator the users are not known.
        if known and not known.faulty and user not in known.users:
            near = hint(user, get_close_matches(user, known.users, n=1)) or ":"
            what = f"unknown user {user!r} of operator {operator!r}{near} it is shared with nobody of that name"
            checker.lesser(("share", index), f"share[{index}]: {what}")
        else:
            found.append(user)
    return tuple(found)
