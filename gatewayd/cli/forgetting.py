"""``account forget``: take back what an account brought that has no file any more."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from gatewayd.api.forgetting import Brought
from gatewayd.api.ledger import Lease
from gatewayd.cli import output
from gatewayd.cli.params import json_option
from gatewayd.cli.removed import account_files
from gatewayd.errors import PermanentError, TransientError
from gatewayd.runtime.instance import host_and_process

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd.cli.app import App

__all__ = ["forget"]

#: Keys of the ledger that go in one transaction: others who write wait for no longer than that.
_PIECE = 500
#: Seconds that a daemon has to release an account whose file is gone.
_PATIENCE, _LOOK = 45.0, 0.5


@click.command("forget")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_obj
def forget(app: App, name: str, *, yes: bool, as_json: bool) -> None:
    """Take back what account NAME brought: its ledger, its mail for whomever it is filed, links, and deliveries of that mail.

    Its file must be gone, else all of it would be imported again. What people sent through it stays, and raw bytes that another
    account brought, too. What goes is said before, in numbers; without a terminal it needs --yes. Nothing is changed on a server.
    """
    if not yes and not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask at: give --yes to take back what the account brought")
    _refuse(app, name)
    found = app.store.brought(name)
    unused = _unused_consents(app)
    if found == Brought() and not unused and not _is_known(app, name):
        raise PermanentError(f"nothing is kept of account {name!r}", advice="Name it as its file was named.")
    for line in _lines(name, found, unused):
        output.note(line)
    if not yes and not click.confirm("Take that back for good?", err=True):
        output.note("gatewayd: nothing was taken back.")
        raise click.exceptions.Exit(1)
    _forget(app, name)
    for one in unused:
        app.store.forget_secret(one)
    if as_json:
        output.json_line({"account": name, **output.fields(found, *Brought.__dataclass_fields__), "consents": len(unused)})
    else:
        output.say(f"Account {name} is forgotten, with {output.count(found.mails, 'mail')}.")


def _refuse(app: App, name: str) -> None:
    """Raise where the account is still there."""
    if name in account_files(app):
        raise PermanentError(f"accounts/{name}.yaml is still there", advice="Move it away first: else all is imported again.")
    if name in app.config.accounts:
        raise PermanentError(f"account {name} is still there", advice=f"Remove it first: `gatewayd account remove {name}`.")
    for one in app.store.renames():
        if one.done_at is None and one.kind == "account" and name in (one.old, one.new):
            advice = f"Finish that first: `{one.command}`."
            raise PermanentError(f"account {one.old} is still being renamed to {one.new}", advice=advice)


def _is_known(app: App, name: str) -> bool:
    having = {account for accounts in app.store.mailboxes().values() for account, _ in accounts}
    return name in having or any(one.kind == "account" and name in (one.old, one.new) for one in app.store.renames())


def _unused_consents(app: App) -> Sequence[str]:
    """Return the consents that no account of the config has any more: a consent does not say whose it is."""
    # What a faulty file says is not known.
    return () if app.config.faults else app.consents.unused(app.store)


def _lines(name: str, found: Brought, unused: Sequence[str]) -> Iterator[str]:
    mails, keys = output.count(found.mails, "mail"), output.count(found.entries, "key")
    yield f"Account {name} brought {mails}, by {keys} of its ledger, filed {output.count(found.filings, 'time')}."
    if found.links or found.undelivered:
        waiting = output.count(found.undelivered, "delivery", "deliveries")
        yield f"With them go {output.count(found.links, 'link')} that people made, and {waiting} not made yet."
    yield f"Raw bytes that go: {found.size}. Those of {output.count(found.shared, 'mail')} stay, since others have them, too."
    if unused:
        yield f"No account has the consent any more that was given {output.count(len(unused), 'time')}: that goes, too."
    if found.sent:
        yield f"What people sent through it stays: {output.count(found.sent, 'mail')}."


def _forget(app: App, name: str) -> None:
    lease = _lease(app, name)
    try:
        while app.store.forget_account(lease, limit=_PIECE):
            pass
    finally:
        app.store.release(lease)


def _lease(app: App, name: str) -> Lease:
    """Take the account's lease as soon as nobody has it; raises TransientError after 45 s."""
    until = time.monotonic() + _PATIENCE
    while True:
        found = app.store.take_lease(name, app.instance.name, dead=app.instance.dead)
        if isinstance(found, Lease):
            return found
        if time.monotonic() > until:
            who = host_and_process(found.holder)
            raise TransientError(f"account {name} is being worked on by {who}", advice="Run the command again when that has ended.")
        time.sleep(_LOOK)
