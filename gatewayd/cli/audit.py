"""``audit``: prove that all mail of an account on its server is stored, or list the ledger's keys by state."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, get_args

import click

from gatewayd.api.ledger import State
from gatewayd.api.queries import Listing
from gatewayd.cli import output
from gatewayd.cli.params import json_option
from gatewayd.cli.rereading import reread
from gatewayd.errors import GatewaydError, PermanentError, TransientError, sentences
from gatewayd.importing.settling import names_of
from gatewayd.message.mail import message_id
from gatewayd.runtime.standard_output import standard_output_kept

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd.api.queries import Audit, DatabaseCheck, EntryView
    from gatewayd.api.session import Session
    from gatewayd.api.values import Listed
    from gatewayd.cli.app import App
    from gatewayd.config import AccountConfig

__all__ = ["COMMANDS"]

_PAGE = 1000
_HIDDEN = "What a server does not list can't be imported: look with another mail program, and tell the server's administrator."
_RESTORE = "Stop the daemon, keep the database as it is, and restore a backup of it; see docs/operations.md."
_UNLIKE = "Compare them with `gatewayd mail raw ID`: a server may have sent something else in place of a message."
_INEXACT = "listed with another size than the server sends; what it sends now is, byte for byte, what is filed."
_REREADS = (
    "filed with another size than the server lists. A later visit fetches them once more, see `limits.reread_after`. "
    "Unless the same bytes come then, nothing is done to them on the server."
)
_UNSIZED = (
    "the server tells no size of them, so no size is proven. That they are the messages is proven by key, arrival and Message-ID, "
    "and that their bytes are as they came by their digests."
)
_STATES = click.Choice(get_args(State))


@click.command("audit")
@click.argument("account", metavar="ACCOUNT")
@click.option("--list", "state", type=_STATES, help="List the ledger's keys in this state instead, with the reason.")
@json_option
@click.pass_obj
def _audit(app: App, *, account: str, state: State | None, as_json: bool) -> int:
    """Prove that all mail on the server is stored here, complete, with all its filings, in an undamaged database.

    Exits 1 if that can't be proven, and says what and why. Mail that is offered or not admitted is left there on purpose.
    """
    chosen = app.account(account)
    if state:
        return _list(_entries(app, account, state), as_json=as_json)
    with standard_output_kept():
        listings = _listings(app, chosen)
    database = app.store.check()
    try:
        found = app.store.audit(account, listings)
    except TransientError:
        # A store that can't be reached is not damaged. Restoring a backup for that would lose newer mail.
        raise
    except GatewaydError as error:
        # A damaged store can't be read, which is the finding.
        output.error(error, account=account)
        found, database = (), replace(database, faults=tuple(dict.fromkeys([*database.faults, error.message])))
    with standard_output_kept():
        found = reread(app, chosen, found)
    proven = all(one.proven for one in found) and not database.faults
    if as_json:
        output.json_line(*(_json(one, database) for one in found))
    else:
        _print(account, found, database, proven=proven)
    return 0 if proven else 1


def _listings(app: App, account: AccountConfig) -> dict[str, Listing]:
    """Return the server's present listings, by folder."""
    if account.imports is None:
        raise PermanentError(f"account {account.name} has no import block", advice="There is nothing to audit.")
    with app.session(account) as session:
        states = {folder: app.store.folder(account.name, folder) for folder in account.imports.folders}
        return {folder: _listing(session, folder, state.cursor if state else None) for folder, state in states.items()}


def _listing(session: Session, folder: str, cursor: str | None) -> Listing:
    pages = list(session.compare(folder, cursor))
    return Listing(
        keys=_named(session, folder, [one for page in pages for one in page.keys]),
        exists=next((page.exists for page in reversed(pages) if page.exists is not None), None),
        doubts=tuple(dict.fromkeys(text for page in pages for text in page.doubts)),
    )


def _named(session: Session, folder: str, listed: Sequence[Listed]) -> tuple[Listed, ...]:
    """Return messages with their Message-IDs, where the server tells no size of them: without, nothing but the key names them."""
    bare = [one.key for one in listed if one.size is None and one.message_id is None]
    pieces = [bare[start : start + _PAGE] for start in range(0, len(bare), _PAGE)]
    names = {key: name for piece in pieces for key, name in names_of(session, folder, piece)}
    told = {one.key: message_id(one.message_id) for one in listed if one.message_id is not None}
    return tuple(replace(one, message_id=told.get(one.key, names.get(one.key))) for one in listed)


def _json(one: Audit, database: DatabaseCheck) -> dict[str, output.Json]:
    lists = ("doubts", "unknown", "changed", "waiting", "damaged", "unlike", "inexact", "doubtful", "grown", "unfiled", "rereads")
    return {
        "folder": one.folder,
        "on_server": one.listed or 0,
        **output.fields(one, "exists", "states", *lists, "gone", "unsized"),
        "database": list[output.Json](database.faults),
        "unchecked": database.unchecked or None,
        "proven": one.proven and not database.faults,
    }


def _print(account: str, found: Sequence[Audit], database: DatabaseCheck, *, proven: bool) -> None:
    rows = []
    for one in found:
        held = ", ".join(f"{count} {state}" for state, count in one.states.items()) or "nothing"
        numbers = (one.listed or 0, len(one.unknown), one.gone, len(one.damaged))
        rows.append((one.folder, *map(str, numbers), held))
    output.table(("folder", "#on server", "#unknown", "#gone", "#damaged", "ledger"), rows)
    missing = [(one.folder, text, advice) for one in found for text, advice in _missing(account, one)]
    missing += [("the database", text, _RESTORE) for text in database.faults]
    for where, text, _ in missing:
        output.note(f"{sentences(f'Not proven, {where}: {text}')}.")
    for advice in dict.fromkeys(advice for _, _, advice in missing):
        output.note(advice)
    left = sum(one.states.get(state, 0) for one in found for state in ("offered", "dismissed", "not admitted"))
    if left:
        output.note(f"{output.count(left, 'key')} left on the server on purpose: offered, dismissed, or not admitted.")
    notes = (
        ([one.inexact for one in found], _INEXACT),
        ([one.rereads for one in found], _REREADS),
        ([one.doubtful for one in found], f"gone by now, and filed with bytes of another length than the server listed. {_UNLIKE}"),
        ([one.grown for one in found], "filed as they came first. Their size on the server has changed since."),
    )
    for lists, text in notes:
        if keys := [*chain.from_iterable(lists)]:
            output.note(f"{_keys(keys)}: {text}")
    if unsized := sum(one.unsized for one in found):
        output.note(f"{output.count(unsized, 'key')}: {_UNSIZED}")
    if database.unchecked:
        output.note(f"The database itself was not checked: {database.unchecked}.")
    output.note("Custody is proven." if proven else "Custody is NOT proven.")


def _missing(account: str, one: Audit) -> Iterator[tuple[str, str]]:
    """Yield what is not proven about a folder, each with advice."""
    again = f"Run `gatewayd import {account}`, then audit again."
    if one.short:
        yield f"the server counts {one.exists} messages and lists {one.listed}", _HIDDEN
    for text in one.doubts:
        yield text, _HIDDEN
    findings = (
        (one.unknown, "on the server, and not in the ledger", again),
        (one.changed, "listed with another size, arrival or Message-ID than before, so perhaps another message", again),
        (one.waiting, "not here yet", f"`gatewayd audit {account} --list waiting` says why keys wait."),
        (one.damaged, "filed, but the bytes are missing or damaged", _RESTORE),
        (one.unlike, "filed with bytes of another length than the server lists", _UNLIKE),
        (one.unfiled, "filed, but filings, links or faults are missing or altered", _RESTORE),
    )
    yield from ((f"{_keys(keys)}: {text}", advice) for keys, text, advice in findings if keys)


def _keys(keys: Sequence[str]) -> str:
    return f"{output.count(len(keys), 'key')}, such as {', '.join(keys[:3])}"


def _entries(app: App, account: str, state: State) -> Iterator[EntryView]:
    after = 0
    while page := app.store.entries(account, state, after=after, limit=_PAGE):
        after = page[-1].id
        yield from page


def _list(entries: Iterator[EntryView], *, as_json: bool) -> int:
    if as_json:
        for one in entries:
            row = output.fields(one, "id", "folder", "key", "state", "cause", "tries", "size", "arrival")
            output.json_line({**row, "mail": one.mail_id, "gone": one.gone})
        return 0
    rows = [(str(one.id), one.folder, one.key, "no longer" if one.gone else "yes", str(one.tries), one.cause) for one in entries]
    output.table(("#id", "folder", "key", "on server", "#tries", "reason"), rows)
    return 0


COMMANDS = (_audit,)
