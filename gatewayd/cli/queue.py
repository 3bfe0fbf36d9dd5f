"""``queue``: list, retry and discard filings in the error queues."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import click

from gatewayd.api.queries import Query
from gatewayd.cli import output, refused
from gatewayd.cli.mail import merged, print_filings
from gatewayd.cli.params import ID, Asker, all_operators_option, json_option, limit_option, operator_options
from gatewayd.config import ERRORS
from gatewayd.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.api.health import Cause
    from gatewayd.api.queries import Viewer
    from gatewayd.cli.app import App

__all__ = ["COMMANDS", "cause_row"]

_QUEUE = click.option("--queue", metavar="Q", help="Only this error queue.")
#: More mails are never named on a command line.
_MANY = 1_000_000


@click.group("queue")
def _queue() -> None:
    """Error queues: filings with faults, and mail that was not admitted."""


@_queue.command("list")
@operator_options
@all_operators_option
@_QUEUE
@click.option("--before", type=ID, metavar="ID", help="Only ids below this one: continue a list.")
@limit_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON: one object a line, as in `mail list`.")
@click.pass_obj
def _list(app: App, *, asker: Asker, queue: str | None, before: int | None, limit: int, as_json: bool) -> None:
    """List the filings in the error queues, with the cause."""
    query = Query(faulty=True, queue=queue, before=before, limit=limit)
    viewers = app.viewers(asker)
    listed, more = merged(app, viewers, query)
    if as_json:
        print_filings(listed, as_json=True)
        return
    if not listed:
        _check_queue(app, viewers, queue)
        output.note("No mail is in an error queue.")
    faults = [(one, fault) for one in listed for fault in one.faults]
    rows = [(str(one.id), one.operator, one.queue or "", fault.by, fault.error, one.subject[:40]) for one, fault in faults]
    output.table(("#id", "operator", "queue", "by", "error", "subject"), rows)
    if more:
        output.more(before=listed[-1].id)


@_queue.command("causes")
@operator_options
@all_operators_option
@_QUEUE
@json_option
@click.pass_obj
def _causes(app: App, *, asker: Asker, queue: str | None, as_json: bool) -> None:
    """List the causes of filings in the error queues, with their numbers, most frequent first."""
    viewers = app.viewers(asker)
    found = [(one.operator, cause) for one in viewers for cause in app.store.causes(one) if queue in {None, cause.queue}]
    found.sort(key=lambda one: -one[1].filings)
    if as_json:
        output.json_line(*(cause_row(whose, cause) for whose, cause in found))
        return
    if not found:
        _check_queue(app, viewers, queue)
        output.note("No mail is in an error queue.")
    rows = [
        (str(one.filings), whose, one.queue, one.by, one.error, *map(output.minute, (one.first_at, one.last_at)), str(one.last_id))
        for whose, one in found
    ]
    output.table(("#filings", "operator", "queue", "by", "error", "first", "last", "#last id"), rows)


def _check_queue(app: App, viewers: Sequence[Viewer], queue: str | None) -> None:
    """Raise PermanentError for a queue that no operator of the viewers has."""
    whose = [one for viewer in viewers if (one := app.config.operators.get(viewer.operator))]
    if queue is not None and whose and not any(one.has_queue(queue) for one in whose):
        have = sorted({ERRORS, *(name for one in whose for name in one.queues or ())})
        near = difflib.get_close_matches(queue, have, n=1)
        advice = f"Did you mean {near[0]}?" if near else f"Queues are: {', '.join(have)}."
        raise PermanentError(f"there is no queue {queue!r}", advice=advice)


def cause_row(operator: str, cause: Cause) -> dict[str, output.Json]:
    """Return a cause as a line of JSON."""
    names = ("queue", "by", "error", "filings", "first_at", "last_at", "last_id")
    return {"operator": operator, **output.fields(cause, *names)}


@_queue.command("retry")
@operator_options
@click.argument("mail_ids", type=ID, nargs=-1, metavar="[ID]...")
@_QUEUE
@click.option("--forward", is_flag=True, help="Let forward rules fire for mended mail, as for new mail.")
@click.pass_obj
def _retry(app: App, *, mail_ids: Sequence[int], asker: Asker, queue: str | None, forward: bool) -> int:
    """Match filings in the error queues again: these ids, or all. Those that fail again stay there."""
    viewer = app.viewer(asker)
    for mail_id in mail_ids:
        found = app.desk.get(viewer, mail_id).queue
        if found is None or queue not in {None, found}:
            raise PermanentError(
                f"mail {mail_id} does not stand in {queue or 'an error queue'}", advice="See `gatewayd queue list`."
            )
    # A mail that was put off for lack of time is yielded twice; its last result counts.
    faulty = {
        one.id: bool(one.faults) for batch in app.desk.retry(viewer, mail_ids or None, queue, forward=forward) for one in batch
    }
    if not faulty:
        _check_queue(app, [viewer], queue)
    left = sum(faulty.values())
    output.note(f"{len(faulty) - left} mended, {left} still faulty.")
    return 1 if left else 0


@_queue.command("discard")
@operator_options
@all_operators_option
@click.argument("mail_ids", type=ID, nargs=-1, required=True, metavar="ID...")
@click.pass_obj
def _discard(app: App, mail_ids: Sequence[int], *, asker: Asker) -> int:
    """Remove filings from their error queue without another try. The mail itself stays."""
    viewers = app.viewers(asker)
    standing = {
        one.id for viewer in viewers for one in app.store.filings(viewer, Query(ids=tuple(mail_ids), faulty=True, limit=_MANY))
    }
    gone = sum(app.store.discard(viewer, mail_ids) for viewer in viewers)
    output.note(f"{gone} taken out of the queue.")
    left = [str(one) for one in mail_ids if one not in standing]
    if left:
        whose = "" if asker.all_operators else f" of operator {viewers[0].operator}"
        what = f"in no error queue{whose}: {', '.join(left)}"
        output.error(PermanentError(what, advice="See `gatewayd queue list`."))
    return 1 if left else 0


for _command in refused.SUBCOMMANDS:
    _queue.add_command(_command)

COMMANDS = (_queue,)
