"""``activity``: what people did on the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gatewayd.cli import output
from gatewayd.cli.params import ID, Asker, all_operators_option, json_option, limit_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.api.web_sessions import Activity
    from gatewayd.cli.app import App

__all__ = ["COMMANDS"]


@click.command("activity")
@click.option("--operator", metavar="O", help="The operator; required if there are several.")
@all_operators_option
@click.option("--who", metavar="USER", help="Only what this user did, as the user was called then.")
@click.option("--mail", "mail_id", type=ID, help="Only what was done to this mail.")
@click.option("--before", type=ID, help="Only what is older than the row of this id: the next page.")
@limit_option
@json_option
@click.pass_obj
def _activity(
    app: App,
    *,
    operator: str | None,
    all_operators: bool,
    who: str | None,
    mail_id: int | None,
    before: int | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show who logged in, opened, downloaded, linked, unlinked and changed what, the newest first. It is kept for 400 days."""
    names = [one.operator for one in app.viewers(Asker(operator, (), all_operators))]
    # Who tries to log in as nobody is no operator's.
    names += [""] if all_operators else []
    found: list[Activity] = []
    for name in dict.fromkeys(names):
        found += app.store.activities(name, who=who, mail_id=mail_id, before=before, limit=limit + 1)
    found = sorted(found, key=lambda one: one.id, reverse=True)
    is_cut, found = len(found) > limit, found[:limit]
    if as_json:
        names_of = ("id", "at", "operator", "who", "what", "mail_id", "detail", "address")
        output.json_line(*(output.fields(one, *names_of) for one in found))
        return
    output.table(("at", "who", "what", "mail", "detail", "from"), [_row(one, several=len(names) > 1) for one in found])
    if is_cut:
        output.more(before=found[-1].id)


def _row(one: Activity, *, several: bool) -> Sequence[str]:
    who = f"{one.operator}/{one.who}" if several and one.operator else one.who
    mail = "" if one.mail_id is None else str(one.mail_id)
    return (output.minute(one.at), who, one.what, mail, one.detail, one.address)


COMMANDS = (_activity,)
