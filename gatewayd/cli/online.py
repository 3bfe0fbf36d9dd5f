"""``check --online``: log in to every account and connect to every target and to ``notify``, without changing anything there."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from gatewayd.api.forwarder import Forwarder
from gatewayd.api.health import Task
from gatewayd.cli import output
from gatewayd.cli.visiting import visit_one
from gatewayd.config import is_of_user
from gatewayd.desk.trying import tried
from gatewayd.errors import sentences
from gatewayd.importing.mailboxes import distinct
from gatewayd.registry.guarded_courier import open_courier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gatewayd.api.roles import Plugin
    from gatewayd.cli.app import App
    from gatewayd.config import AccountConfig

__all__ = ["try_account", "try_all"]

_Work: TypeAlias = "Callable[[], Sequence[str]]"

#: The deadline of a try: this many times its ``timeout``, which counts for one step; and the timeout if it has none.
_STEPS, _TIMEOUT = 4, 60.0


def try_all(app: App) -> Sequence[str]:
    """Log in to every account, connect to every target that gets no mail and to ``notify``, and print each result.

    Returns the names of those that failed. Nothing is sent: of a webhook, only address and certificate are checked.
    """
    failed = []
    for name, options, works in _tries(app):
        problems = _tried(options, works)
        for problem in problems or ["ok"]:
            output.say(f"{name}: {problem}")
        failed += [name] if problems else []
    return failed


def try_account(app: App, account: AccountConfig) -> Sequence[str]:
    """Log in to one account, and return its problems."""
    return _tried(account.options, _works(app, account))


def _tried(options: Plugin.Options | None, works: Sequence[_Work]) -> Sequence[str]:
    return tried(works, _STEPS * float(getattr(options, "timeout", _TIMEOUT)))


def _tries(app: App) -> Iterator[tuple[str, Plugin.Options | None, Sequence[_Work]]]:
    """Yield each try: its name, its options, and functions that return or raise problems."""
    for account in app.config.accounts.values():
        yield account.name, account.options, _works(app, account)
    for operator, one in app.config.operators.items():
        for target in one.targets.values():
            if target.options is not None:
                name = f"{operator}/{target.name}"
                yield name, target.options, [partial(_connects, app, target.kind, target.options, name)]
    notify = app.config.notify
    options = app.config.notify_options
    if notify and notify.kind and options is not None:
        yield "notify", options, [partial(_connects, app, notify.kind, options, "notify")]


def _works(app: App, account: AccountConfig) -> Sequence[_Work]:
    if is_of_user(account.name):
        return [partial(_looks, app, account)]
    works: list[_Work] = [partial(_imports, app, account)] if account.imports or not account.sends else []
    return [*works, partial(_sends, app, account)] if account.sends else works


def _imports(app: App, account: AccountConfig) -> Sequence[str]:
    with app.session(account) as session:
        if account.imports is None:
            return ()
        problems = [*session.problems(account.imports.folders, account.imports.after)]
        # Not to be made or brought to this version by a check.
        for folder in account.imports.folders if not problems and app.has_store() else ():
            # It may be another account's mailbox under another host name, unless it was imported already.
            if app.store.folder(account.name, folder) is None and (page := next(iter(session.listing(folder, None)), None)):
                distinct(account, app.store, folder, page.keys, spans=app.transport(account).keys_span_folders)
        return problems


def _looks(app: App, account: AccountConfig) -> Sequence[str]:
    """Look at a mailbox that a user added. Its password is opened only by who has the lease: this process, or the daemon."""
    answer = visit_one(app, account, Task(look=True), lambda _: None)
    return [sentences(answer.error, answer.advice)] if answer.error else answer.problems


def _sends(app: App, account: AccountConfig) -> Sequence[str]:
    with app.courier(account) as courier:
        return courier.problems()


def _connects(app: App, kind: str, options: Forwarder.Options, name: str) -> Sequence[str]:
    with closing(open_courier(app.registry.get(Forwarder, kind)(options, name=name))) as courier:
        return courier.problems()
