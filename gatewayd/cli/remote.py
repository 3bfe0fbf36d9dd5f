"""``remote`` and ``dismiss``: list what is on the servers for a person to choose from, after a look at them that changes nothing
there; and hide what nobody wants.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import click

from gatewayd.api.health import Task
from gatewayd.cli import output
from gatewayd.cli.answers import progress_bar
from gatewayd.cli.choosing import accounts_of, offers_of
from gatewayd.cli.looking import look_at
from gatewayd.cli.params import ID, asker_of, json_option, limit_option
from gatewayd.desk.offers import RemoteQuery, remote_mail
from gatewayd.errors import PermanentError
from gatewayd.runtime.standard_output import standard_output_kept

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatewayd.api.health import Answer
    from gatewayd.api.offers import OfferView
    from gatewayd.cli.app import App
    from gatewayd.config import AccountConfig

__all__ = ["COMMANDS"]

_COLUMNS = ("account", "#id", "folder", "key", "received", "from", "subject", "#size", "files", "here")
_FILES = {True: "yes", False: "", None: "?"}


@click.command("remote")
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]...")
@click.option("--operator", metavar="O", help="The operator; required if there are several.")
@click.option("--user", metavar="O/U", help="The user, as `operator/user`: with the own personal mail, and a seen-mark of its own.")
@click.option("--waiting", is_flag=True, help="All that is still offered, seen before or not.")
@click.option("--from-beginning", is_flag=True, help="Everything, with what is here already or was dismissed.")
@click.option("--search", metavar="WORD", help="Only mail with this text in subject, sender or recipients.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), metavar="DATE", help="Only what arrived since this day, 00:00 UTC.")
@click.option(
    "--before", type=ID, metavar="ID", help="Only ids below this one: continue a list, without a new look at the servers."
)
@click.option("--recheck", is_flag=True, help="List each mailbox whole again, and compare it with what is known of it.")
@limit_option
@json_option
@click.pass_obj
def _remote(
    app: App,
    *,
    accounts: Sequence[str],
    operator: str | None,
    user: str | None,
    waiting: bool,
    from_beginning: bool,
    search: str | None,
    since: datetime | None,
    before: int | None,
    recheck: bool,
    limit: int,
    as_json: bool,
) -> int:
    """List mail that is offered to an operator, newest first, account by account: what came after its last download.

    The server of each ACCOUNT is asked first, and nothing is changed there. One that can't be asked is marked (!).
    `gatewayd import ACCOUNT --key K` has what is chosen.
    """
    if (waiting and from_beginning) or (recheck and before):
        raise click.UsageError("--waiting goes without --from-beginning, and --recheck without --before")
    which: Literal["new", "waiting", "all"] = "all" if from_beginning else "waiting" if waiting else "new"
    after = since.replace(tzinfo=UTC) if since else None
    query = RemoteQuery(which=which, text=search, since=after, before=before, limit=limit + 1)
    viewer = app.viewer(asker_of(operator, user))
    if not accounts:
        app.warn_of_faults()
    wanted = accounts_of(app, viewer, accounts)
    broken = {} if before else _look(app, wanted, Task(look=True, compare=recheck))
    for account in wanted:
        found = remote_mail(app.store, viewer, account.name, query)
        if as_json:
            _print_json(account, found[:limit], broken.get(account.name))
            continue
        _print(account, found[:limit], broken.get(account.name), which, more=len(found) > limit, alone=len(wanted) == 1)
        if found and not (search or since or before):
            app.store.show(viewer, account.name, found[0].id)
    return 1 if broken else 0


def _look(app: App, accounts: Sequence[AccountConfig], task: Task) -> Mapping[str, Answer]:
    """Ask servers what is new, and have the headers of what is offered; return the answers of those that could not be asked."""
    with progress_bar() as show, standard_output_kept():
        answers = look_at(app, accounts, task, show)
    for one in answers.values():
        for text in one.notes:
            output.note(f"{one.account}: {text}")
    return {name: one for name, one in answers.items() if one.error or one.problems}


def _why(broken: Answer) -> str:
    return broken.error or "; ".join(broken.problems)


def _print(
    account: AccountConfig, found: Sequence[OfferView], broken: Answer | None, which: str, *, more: bool, alone: bool
) -> None:
    """Print an account's list, below what keeps its server from being asked."""
    if broken:
        output.say(f"(!) {account.name}: {_why(broken)}")
        if broken.advice:
            output.say(f"    {broken.advice}")
    rows = [
        (
            one.account,
            str(one.id),
            one.folder,
            one.key,
            output.minute(one.arrival or one.sent_at),
            one.sender_name or one.sender,
            one.subject[:60],
            "" if one.size is None else str(one.size),
            _FILES[one.attachments],
            _here(one),
        )
        for one in found
    ]
    output.table(_COLUMNS, rows)
    if more:
        # The next page is one of this account alone.
        output.more(before=found[-1].id, of="" if alone else account.name)
    if not (rows or broken):
        what = "nothing new is listed; `--waiting` lists all that is still offered" if which == "new" else "nothing is listed"
        output.note(f"{account.name}: {what}.")


def _here(one: OfferView) -> str:
    """Return the mail that it is here, or what is decided about it."""
    if one.mail_id is not None:
        return f"mail {one.mail_id}"
    return one.cause if one.decision == "offered" else one.decision


def _print_json(account: AccountConfig, found: Sequence[OfferView], broken: Answer | None) -> None:
    if broken:
        output.json_line({"account": account.name, "error": _why(broken), "advice": broken.advice or None})
    for one in found:
        output.json_line(
            {
                **output.fields(one, "id", "account", "folder", "key"),
                "from": one.sender,
                "from_name": one.sender_name,
                **output.fields(one, "to", "subject", "sent_at"),
                "received_at": output.moment(one.arrival),
                **output.fields(one, "size", "attachments", "decision"),
                "mail": one.mail_id,
                "cause": one.cause or None,
            }
        )


@click.command("dismiss")
@click.argument("account")
@click.option("--key", "keys", multiple=True, required=True, metavar="K", help="The key, as `remote` shows it; may be repeated.")
@click.option("--folder", metavar="F", help="The folder of the keys, where several folders have them.")
@click.option("--operator", metavar="O", help="The operator that does not want it; required if there are several.")
@click.option("--user", metavar="O/U", help="The user who dismisses it, as `operator/user`.")
@click.option("--undo", is_flag=True, help="Offer again what was dismissed.")
@click.pass_obj
def _dismiss(
    app: App, *, account: str, keys: Sequence[str], folder: str | None, operator: str | None, user: str | None, undo: bool
) -> int:
    """Hide mail that is offered from everybody of the operator. It stays on the server, and offered to other operators."""
    viewer = app.viewer(asker_of(operator, user))
    (chosen,) = accounts_of(app, viewer, [account])
    found = offers_of(app.store, viewer, chosen.name, keys, folder=folder)
    changed = app.store.dismiss(viewer, account, list(found), who=app.who, undo=undo)
    if missing := sorted(set(keys) - set(found.values())):
        raise PermanentError(f"not offered to {viewer.operator}: {', '.join(missing)}", advice="See `gatewayd remote`.")
    output.note(f"{output.count(changed, 'message')} {'offered again' if undo else 'dismissed'}.")
    return 0


COMMANDS = (_remote, _dismiss)
