"""``queue refused`` and ``queue admit``: list mail that was not admitted, and admit it."""

from __future__ import annotations

from heapq import nlargest
from typing import TYPE_CHECKING

import click

from gatewayd.api.health import Task
from gatewayd.cli import output
from gatewayd.cli.params import ID, Asker, json_option, limit_option, operator_options
from gatewayd.cli.visits import visit_all
from gatewayd.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd.api.queries import Viewer
    from gatewayd.api.verdicts import Refused
    from gatewayd.cli.app import App
    from gatewayd.config import AccountConfig

__all__ = ["SUBCOMMANDS"]

_PAGE = 1000


@click.command("refused")
@operator_options
@click.option("--all-operators", is_flag=True, help="The administrator's view: every operator, with personal mail.")
@click.option("--account", metavar="A", help="Only this account.")
@limit_option
@json_option
@click.pass_obj
def _refused(app: App, *, asker: Asker, account: str | None, limit: int, as_json: bool) -> None:
    """List mail on the server that was not admitted: its sender has none of the account's `contact_types`."""
    viewers = app.viewers(asker)
    accounts = {one.name: one for viewer in viewers for one in _accounts(app, viewer) if account in {None, one.name}}
    found = ((name, folder, refused) for name in sorted(accounts) for folder, refused in _of(app, accounts[name]))
    # Ids grow in the order in which keys are listed, over all accounts.
    newest = nlargest(limit + 1, found, key=lambda one: one[2].entry_id)
    listed = sorted(newest[:limit], key=lambda one: (one[0], one[1], one[2].entry_id))
    if as_json:
        for name, folder, one in listed:
            row: dict[str, output.Json] = {"id": one.entry_id, "account": name, "folder": folder}
            output.json_line({**row, **output.fields(one, "key", "senders"), "provisional_since": output.moment(one.since)})
        return
    if not listed:
        output.note("No mail is not admitted.")
    rows = [
        (str(one.entry_id), name, folder, one.key, ", ".join(one.senders or ()) or "?", "yes" if one.since else "")
        for name, folder, one in listed
    ]
    output.table(("#id", "account", "folder", "key", "from", "provisional"), rows)
    if len(newest) > limit:
        output.more()


@click.command("admit")
@operator_options
@click.argument("entry_ids", type=ID, nargs=-1, required=True, metavar="ID...")
@click.pass_obj
def _admit(app: App, entry_ids: Sequence[int], asker: Asker) -> int:
    """Admit mail for an operator, whoever sent it, and fetch it. IDs are those of `queue refused`. Forward rules don't fire."""
    viewer = app.viewer(asker)
    wanted, chosen = set(entry_ids), []
    for account in _accounts(app, viewer):
        ids = [one.entry_id for _, one in _of(app, account) if one.entry_id in wanted]
        if ids and app.store.admit(account.name, ids, [viewer.operator]):
            wanted -= set(ids)
            chosen.append(account)
    failed = bool(chosen) and visit_all(app, chosen, Task(), as_json=False)
    if wanted:
        missing = ", ".join(map(str, sorted(wanted)))
        raise PermanentError(f"not admitted, and on the server still, is no mail {missing}", advice="See `gatewayd queue refused`.")
    return 1 if failed else 0


def _accounts(app: App, viewer: Viewer) -> Iterator[AccountConfig]:
    """Yield the accounts whose mail the viewer may see."""
    for one in app.config.accounts.values():
        if one.imports and viewer.operator in one.operators and (one.user is None or one.user in viewer.users):
            yield one


def _of(app: App, account: AccountConfig) -> Iterator[tuple[str, Refused]]:
    for folder in account.imports.folders if account.imports else ():
        after = 0
        while page := app.store.refusals(account.name, folder, after=after, limit=_PAGE):
            after = page[-1].entry_id
            yield from ((folder, one) for one in page)


SUBCOMMANDS = (_refused, _admit)
