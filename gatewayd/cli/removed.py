"""Operators, users and accounts that have mail in the store and are not in the config, or are another one there, with advice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.cli import output
from gatewayd.config import is_of_user

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gatewayd.api.store.users import KnownUser
    from gatewayd.cli.app import App

__all__ = ["account_files", "forgotten", "forgotten_lines", "former_lines", "withheld_lines"]


def former_lines(former: Mapping[tuple[str, str | None], int]) -> Iterator[str]:
    """Yield a line for each operator or user, with what to do."""
    for (operator, user), number in sorted(former.items(), key=lambda one: (one[0][0], one[0][1] or "")):
        who = f"user {user} of operator {operator}" if user else f"operator {operator}"
        back = f"`users` of operators/{operator}.yaml" if user else f"operators/{operator}.yaml"
        seen = "only `gatewayd mail list --all-operators` shows them"
        verb = "is" if number == 1 else "are"
        gone = "which is no longer in the config" if user is None else "who is no longer in the config"
        yield f"There {verb} {output.count(number, 'filing')} of {who}, {gone}: {seen}. If that is a mistake, put {back} right."


def withheld_lines(users: Sequence[KnownUser]) -> Iterator[str]:
    """Yield a line for each user who came back and is not shown the mail of before, with what to do."""
    for one in users:
        who = f"{one.operator}/{one.name}"
        gives = f"if it is the same person, `gatewayd user give-mail {who}` does"
        yield f"User {who} left the config and is back: nothing shows that user the old personal mail; {gives}."


def account_files(app: App) -> set[str]:
    """Return the accounts that have a file, valid or not."""
    return {file.removeprefix("accounts/").removesuffix(".yaml") for file in app.config.digests if file.startswith("accounts/")}


def forgotten(app: App) -> Sequence[str]:
    """Return the accounts that have or had a mailbox, and no file any more. Those that users added never had one."""
    known = {name for having in app.store.mailboxes().values() for name, _ in having if not is_of_user(name)}
    return sorted(known - account_files(app) - app.config.accounts.keys())


def forgotten_lines(names: Sequence[str]) -> Iterator[str]:
    """Yield a line for each account without a file, with what to do."""
    for name in names:
        renamed = f"if it has another name now: `gatewayd account rename {name} NEW`"
        back = f"If that is a mistake, put accounts/{name}.yaml back; {renamed}"
        back += f"; to take its mail back: `gatewayd account forget {name}`"
        yield f"Account {name} was imported here, and has no file any more: nothing is imported for it. {back}."
