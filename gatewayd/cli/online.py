"""``check --online``: all that the config names on the network is tried, changes nothing there, and each has a deadline."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import click

from gatewayd.api.forwarder import Forwarder
from gatewayd.cli import output
from gatewayd.errors import GatewaydError, PluginError
from gatewayd.importing.mailboxes import distinct
from gatewayd.registry.guarded_courier import open_courier
from gatewayd.registry.loading import where
from gatewayd.runtime.threads import WorkerThreads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gatewayd.api.roles import Plugin
    from gatewayd.api.session import Session
    from gatewayd.cli.app import App
    from gatewayd.config import AccountConfig

__all__ = ["try_all"]

#: A try takes as long as so many steps may, of those that its ``timeout`` is for; and so many seconds where it has none.
_STEPS, _TIMEOUT = 4, 60.0


def try_all(app: App) -> Sequence[str]:
    """Log in to every account, and connect to every target that gets no mail and to where notices go; say how each is.

    Returns what failed. Nothing is sent or changed: of a webhook only its address and certificate are tried.
    """
    failed = []
    for name, options, work in _tries(app):
        problems = _within(_STEPS * float(getattr(options, "timeout", _TIMEOUT)), work)
        for problem in problems or ["ok"]:
            click.echo(output.clean(f"{name}: {problem}"))
        failed += [name] if problems else []
    return failed


def _tries(app: App) -> Iterator[tuple[str, Plugin.Options | None, Callable[[], Sequence[str]]]]:
    """Yield what is tried: its name, its options, and what says what is wrong."""
    for account in app.config.accounts.values():
        yield account.name, account.options, lambda account=account: _account(app, account)  # type: ignore[misc]
    for operator, one in app.config.operators.items():
        for target in one.targets.values():
            if target.options is not None:
                name = f"{operator}/{target.name}"
                yield name, target.options, _opens(app, target.kind, target.options, name)
    notify = app.config.notify
    options = app.config.notify_options
    if notify and notify.kind and options is not None:
        yield "notify", options, _opens(app, notify.kind, options, "notify")


def _account(app: App, account: AccountConfig) -> Sequence[str]:
    """Log in to one account, where it imports and where it sends."""
    problems: list[str] = []
    if account.imports or not account.sends:
        problems += _told(lambda: _imports(app, account))
    if account.sends:
        problems += _told(lambda: _sends(app, account))
    return problems


def _imports(app: App, account: AccountConfig) -> Sequence[str]:
    with app.session(account) as session:
        if account.imports is None:
            return ()
        problems = [*session.problems(account.imports.folders, account.imports.after)]
        # Not to be made or brought to this version by a check.
        if not problems and app.has_store():
            _distinct(app, account, session)
        return problems


def _distinct(app: App, account: AccountConfig, session: Session) -> None:
    """Raise ConfigError where it is another account's mailbox under another host name, unless it was imported already."""
    for folder in account.imports.folders if account.imports else ():
        if app.store.folder(account.name, folder) is None and (page := next(iter(session.listing(folder, None)), None)):
            distinct(account, app.store, folder, page.keys)


def _sends(app: App, account: AccountConfig) -> Sequence[str]:
    with app.courier(account):
        return ()


def _opens(app: App, kind: str, options: Forwarder.Options, name: str) -> Callable[[], Sequence[str]]:
    def opened() -> Sequence[str]:
        with closing(open_courier(app.registry.get(Forwarder, kind)(options, name=name))):
            return ()

    return lambda: _told(opened)


def _told(work: Callable[[], Sequence[str]]) -> Sequence[str]:
    """Do it, and return what is wrong; whatever a plugin raises but the five errors is its own fault."""
    try:
        return work()
    except GatewaydError as error:
        return [error.sentences]
    except (Exception, SystemExit) as error:  # noqa: BLE001  the others are tried all the same
        return [PluginError(f"the plugin failed: {where(error)}").sentences]


def _within(seconds: float, work: Callable[[], Sequence[str]]) -> Sequence[str]:
    """Do it in a thread of its own, which is left behind where it takes longer: it ends with the process."""
    thread = WorkerThreads(1, "online")
    waiting = thread.submit(work)
    thread.shutdown(wait=False)
    try:
        return waiting.result(seconds)
    except TimeoutError:
        return [f"it did not come to its end within {seconds:g} s. Raise `timeout` if the server is slow"]
