"""``outbox``: list, retry, cancel and deliver what goes out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

import click

from gatewayd.api.delivery import DeliveryQuery, DeliveryState
from gatewayd.cli import output
from gatewayd.cli.observing import observed
from gatewayd.cli.params import ID, Asker, all_operators_option, json_option, limit_option, operator_options
from gatewayd.errors import GatewaydError, PermanentError
from gatewayd.outgoing.outbox import LIMIT, DeliveryRound, DeliveryTools, Outbox
from gatewayd.runtime.standard_output import standard_output_kept

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd.api.delivery import Delivery, DeliveryView
    from gatewayd.api.queries import Viewer
    from gatewayd.cli.app import App

__all__ = ["COMMANDS", "delivery_line", "delivery_row", "target_fields"]

_TARGET = click.option("--target", metavar="T", help="Only deliveries for this target.")
#: Deliveries in these states can't be tried again, or cancelled.
_NOT_AGAIN: Sequence[DeliveryState] = ("delivered",)
_NOT_CANCELLED: Sequence[DeliveryState] = ("delivered", "cancelled", "bounced")
#: How many deliveries are looked up at a time.
_PAGE = 1000


@click.group("outbox")
def _outbox() -> None:
    """List, retry, cancel and deliver what goes out."""


@_outbox.command("list")
@operator_options
@all_operators_option
@click.option(
    "--state",
    "states",
    type=click.Choice(get_args(DeliveryState)),
    multiple=True,
    help="Only deliveries in this state; may be repeated.",
)
@_TARGET
@click.option("--mail", "mail_id", type=ID, metavar="ID", help="Only deliveries of this mail.")
@click.option("--before", type=ID, metavar="ID", help="Only ids below this one: continue a list.")
@limit_option
@json_option
@click.pass_obj
def _list(app: App, /, *, asker: Asker, as_json: bool, states: Sequence[DeliveryState], **asked: Any) -> None:
    """List deliveries, newest first, with the last reply of the server."""
    query = DeliveryQuery(states=tuple(states) or None, **asked)
    viewers = app.viewers(asker)
    more = replace(query, limit=query.limit + 1)
    found = sorted((one for viewer in viewers for one in app.store.deliveries(viewer, more)), key=lambda one: -one.id)
    listed = found[: query.limit]
    if as_json:
        for one in listed:
            output.json_line(delivery_row(one))
        return
    if not listed:
        output.note("No deliveries.")
    columns = ("#id", "operator", "#mail", "subject", "to", "cause", "state", "#tries", "due", "reply")
    output.table(columns, [_row(one) for one in listed])
    if len(found) > query.limit:
        output.more(before=listed[-1].id)


def _row(one: DeliveryView) -> tuple[str, ...]:
    state = "suspended" if one.suspended and one.state == "waiting" else one.state
    reply = f"target suspended: {one.suspended}" if one.suspended else one.words
    ids, subject, due = (str(one.id), one.operator, str(one.mail_id)), one.subject[:40], output.minute(one.due_at)
    return (*ids, subject, one.delivery.goal, one.delivery.cause, state, str(one.tries), due, reply)


def target_fields(delivery: Delivery) -> dict[str, output.Json]:
    """Return where a delivery goes, and how, as fields of JSON."""
    account, target = delivery.account or None, delivery.target or None
    return {"forwarder": delivery.forwarder, "account": account, "target": target, "mode": delivery.mode}


def delivery_row(one: DeliveryView) -> dict[str, output.Json]:
    """Return a delivery as a line of JSON."""
    return {
        **output.fields(one, "id", "operator"),
        "mail": one.mail_id,
        **output.fields(one, "subject"),
        **target_fields(one.delivery),
        **output.fields(one.delivery, "cause", "message_id"),
        **output.fields(one, "state", "words", "tries"),
        "recipients": [output.fields(to, "address", "state", "words") for to in one.recipients],
        **output.fields(one, "entered_at", "due_at", "ended_at"),
        "suspended": one.suspended or None,
    }


def delivery_line(one: DeliveryView) -> str:
    """Return a delivery as one line for people, as ``mail show`` prints it."""
    reply = one.suspended or one.words
    return f"{one.id}. to {one.delivery.goal}, by {one.delivery.cause}: {one.state}{', ' + reply if reply else ''}"


@_outbox.command("retry")
@operator_options
@click.argument("delivery_ids", type=ID, nargs=-1, metavar="[ID]...")
@click.option("--parked", is_flag=True, help="Retry all parked deliveries.")
@click.option("--withheld", is_flag=True, help="Retry all withheld deliveries; be sure that they don't loop.")
@_TARGET
@click.pass_obj
def _retry(app: App, *, delivery_ids: Sequence[int], asker: Asker, parked: bool, withheld: bool, target: str | None) -> int:
    """Make deliveries due at once: these ids, or all that are parked or withheld. Nobody who has the mail gets it again."""
    choices: tuple[tuple[DeliveryState, bool], ...] = (("parked", parked), ("withheld", withheld))
    states = tuple(state for state, wanted in choices if wanted)
    if bool(delivery_ids) == bool(states) or (delivery_ids and target):
        raise click.UsageError("give ids, or --parked or --withheld, these with --target if you like")
    viewer = app.viewer(asker)
    ids = list(delivery_ids) or list(_all(app, viewer, DeliveryQuery(states=states, target=target, limit=_PAGE)))
    wrong = list(_unfit(app, [viewer], delivery_ids, _NOT_AGAIN))
    due = app.store.redeliver(viewer, ids)
    left = due + len(wrong) < len(set(ids))
    if due or not wrong:
        tries = "; `gatewayd outbox deliver` tries without waiting for a daemon" if due else ""
        none = "" if ids else f": nothing is {' or '.join(states)}"
        output.note(f"{output.count(due, 'delivery', 'deliveries')} due now{tries}{none}.")
    if left:
        output.note("What is being tried just now is left alone, and a suspended target gets nothing; see `gatewayd outbox list`.")
    return 1 if _told(wrong) or left else 0


def _unfit(app: App, viewers: Sequence[Viewer], ids: Sequence[int], ended: Sequence[DeliveryState]) -> Iterator[str]:
    """Yield an error for each id that has no delivery, or whose delivery is in one of the states ``ended``."""
    pages = (ids[start : start + _PAGE] for start in range(0, len(ids), _PAGE))
    queries = [DeliveryQuery(ids=tuple(page), limit=_PAGE) for page in pages]
    found = {one.id: one.state for viewer in viewers for query in queries for one in app.store.deliveries(viewer, query)}
    for one in dict.fromkeys(ids):
        if one not in found:
            whose = f"operator {viewers[0].operator} has" if len(viewers) == 1 else "there is"
            yield f"{whose} no delivery {one}"
        elif found[one] in ended:
            yield f"delivery {one} is {found[one]} already"


def _told(wrong: Sequence[str]) -> bool:
    for what in wrong:
        output.error(PermanentError(what, advice="See `gatewayd outbox list`." if what == wrong[-1] else ""))
    return bool(wrong)


def _all(app: App, viewer: Viewer, query: DeliveryQuery) -> Iterator[int]:
    """Yield the ids of all matching deliveries, page by page."""
    while page := app.store.deliveries(viewer, query):
        yield from (one.id for one in page)
        query = replace(query, before=page[-1].id)


@_outbox.command("cancel")
@operator_options
@all_operators_option
@click.argument("delivery_ids", type=ID, nargs=-1, required=True, metavar="ID...")
@click.pass_obj
def _cancel(app: App, delivery_ids: Sequence[int], *, asker: Asker) -> int:
    """Cancel deliveries that wait, are parked or withheld, and are not being tried at this moment."""
    viewers = app.viewers(asker)
    wrong = list(_unfit(app, viewers, delivery_ids, _NOT_CANCELLED))
    gone = sum(app.store.cancel(viewer, delivery_ids, who=app.who) for viewer in viewers)
    output.note(f"{output.count(gone, 'delivery', 'deliveries')} cancelled.")
    left = gone + len(wrong) < len(set(delivery_ids))
    if left:
        output.note("What is being tried just now can't be cancelled; if that fails, it can.")
    return 1 if _told(wrong) or left else 0


@_outbox.command("deliver")
@json_option
@click.pass_obj
def _deliver(app: App, *, as_json: bool) -> int:
    """Deliver now, in this process, all that is due. Exits 1 if a delivery failed, was put off or parked."""
    app.warn_of_faults()
    destinations = app.store.destinations(dead=app.instance.dead)
    rounds = [_deliver_to(app, name) for name, seconds in destinations.items() if seconds <= 0]
    tried = [one for one in rounds if one.taken or one.error]
    if as_json:
        output.json_line(*map(_round_row, tried))
    else:
        rows = [(one.destination, str(one.delivered), str(one.waiting), str(one.parked), _wrong(one)) for one in tried]
        output.table(("destination", "#delivered", "#put off", "#parked", "what is wrong, and what to do"), rows)
    later = {name: seconds for name, seconds in destinations.items() if seconds > 0}
    if not tried:
        output.note("Nothing is due now." if later else "Nothing is due.")
    for name, seconds in later.items():
        output.note(
            f"{name}: waits, and is due in {output.span(seconds)}; see `gatewayd outbox list`, `outbox retry ID` hurries it."
        )
    return 1 if any(one.error or one.waiting or one.parked for one in tried) else 0


def _deliver_to(app: App, destination: str) -> DeliveryRound:
    """Deliver all that is due for one destination. Its error does not stop the other destinations (P4)."""
    total = DeliveryRound(destination=destination)
    with standard_output_kept(), observed(app) as events:
        tools = DeliveryTools(store=app.store, instance=app.instance, settler=app.thread, events=events)
        outbox = Outbox(app.config)
        while True:
            try:
                done = outbox.deliver(destination, tools, failures=0)
            except GatewaydError as error:
                return replace(total, error=error.alone())
            total = replace(
                done,
                taken=total.taken + done.taken,
                delivered=total.delivered + done.delivered,
                waiting=total.waiting + done.waiting,
                parked=total.parked + done.parked,
            )
            if done.error or done.taken < LIMIT:
                return total


def _wrong(one: DeliveryRound) -> str:
    if one.error is not None:
        return one.error.sentences
    return "See `gatewayd outbox list`." if one.waiting or one.parked else ""


def _round_row(one: DeliveryRound) -> dict[str, output.Json]:
    return {
        "destination": one.destination,
        # The name in the release before.
        "lane": one.destination,
        "delivered": one.delivered,
        "put_off": one.waiting,
        "parked": one.parked,
        "error": one.error.message if one.error else None,
        "advice": one.error.advice or None if one.error else None,
    }


@_outbox.command("resume")
@click.argument("target")
@click.option("--operator", metavar="O", help="The operator; required if there are several.")
@click.pass_obj
def _resume(app: App, target: str, operator: str | None) -> None:
    """Resume deliveries to a target that was suspended after a bounce; waiting ones are due at once."""
    operator = app.viewer(Asker(operator)).operator
    if not app.store.resume(operator, target):
        raise PermanentError(f"target {target!r} of operator {operator} is not suspended", advice="See `gatewayd status`.")
    output.note(f"Target {target} of operator {operator} gets deliveries again.")


COMMANDS = (_outbox,)
