"""``audit``: custody proven, and what became of every key."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import click

from gatewayd.cli import output
from gatewayd.custody import State
from gatewayd.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd.cli.app import App
    from gatewayd.config import AccountConfig
    from gatewayd.views import Audit, EntryView

__all__ = ["COMMANDS"]

_PAGE = 1000
_STATES = click.Choice(get_args(State))


@click.command("audit")
@click.argument("account", metavar="ACCOUNT")
@click.option("--list", "state", type=_STATES, help="List the ledger's keys in this state instead, with the reason.")
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
@click.pass_obj
def _audit(app: App, *, account: str, state: State | None, as_json: bool) -> int:
    """Compare ledger and server, and prove the raw bytes of all filed mail by their digests."""
    chosen = app.account(account)
    if state:
        return _list(_entries(app, account, state), as_json=as_json)
    listings = _listings(app, chosen)
    found = app.store.audit(account, listings)
    for one in found if as_json else ():
        unknown, damaged = list[output.Json](one.unknown), list[output.Json](one.damaged)
        states: dict[str, output.Json] = dict(one.states)
        row: dict[str, output.Json] = {"folder": one.folder, "on_server": _on_server(one, listings), "states": states}
        output.json_line({**row, "unknown": unknown, "gone": one.gone, "damaged": damaged, "proven": one.proven})
    if not as_json:
        _table(found, listings)
        proven = all(one.proven for one in found)
        said = "Custody is proven." if proven else f"Custody is NOT proven. Run `gatewayd import {account}`, then audit again."
        output.note(said)
    return 0 if all(one.proven for one in found) else 1


def _listings(app: App, account: AccountConfig) -> dict[str, set[str]]:
    """Return the keys that the server lists now, by folder."""
    if account.imports is None:
        raise PermanentError(f"account {account.name} has no import block", advice="There is nothing to audit.")
    with app.session(account) as session:
        return {
            folder: {one.key for page in session.listing(folder, None) for one in page.keys} for folder in account.imports.folders
        }


def _on_server(one: Audit, listings: dict[str, set[str]]) -> int:
    return len(listings.get(one.folder, ()))


def _table(found: Sequence[Audit], listings: dict[str, set[str]]) -> None:
    rows = []
    for one in found:
        held = ", ".join(f"{count} {state}" for state, count in one.states.items()) or "nothing"
        numbers = (_on_server(one, listings), len(one.unknown), one.gone, len(one.damaged))
        rows.append((one.folder, *(str(number) for number in numbers), held))
    output.table(("folder", "#on server", "#unknown", "#gone", "#damaged", "ledger"), rows)


def _entries(app: App, account: str, state: State) -> Iterator[EntryView]:
    after = 0
    while page := app.store.entries(account, state, after=after, limit=_PAGE):
        after = page[-1].id
        yield from page


def _list(entries: Iterator[EntryView], *, as_json: bool) -> int:
    if as_json:
        for one in entries:
            row: dict[str, output.Json] = {
                "id": one.id,
                "folder": one.folder,
                "key": one.key,
                "state": one.state,
                "cause": one.cause,
            }
            arrival = output.moment(one.arrival)
            output.json_line(
                {**row, "tries": one.tries, "size": one.size, "arrival": arrival, "mail": one.mail_id, "gone": one.gone}
            )
        return 0
    rows = [(str(one.id), one.folder, one.key, "no longer" if one.gone else "yes", str(one.tries), one.cause) for one in entries]
    output.table(("#id", "folder", "key", "on server", "#tries", "reason"), rows)
    return 0


COMMANDS = (_audit,)
