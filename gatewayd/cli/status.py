"""``status``: show the state of accounts, daemons, directories, error queues and the outbox (promise P10)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from gatewayd.cli import output
from gatewayd.cli.account_status import account_row, accounts, print_accounts
from gatewayd.cli.directory_status import directories, json_directories, print_directories
from gatewayd.cli.params import Asker
from gatewayd.cli.queue import cause_row
from gatewayd.cli.removed import forgotten, forgotten_lines, former_lines, withheld_lines
from gatewayd.cli.store_status import NO_DAEMON, silent, store_row, tell_unreadable, unwritable
from gatewayd.errors import GatewaydError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gatewayd.api.delivery import Suspension
    from gatewayd.api.health import Cause, DaemonHealth, Lengths
    from gatewayd.api.renames import Rename
    from gatewayd.api.store.users import KnownUser
    from gatewayd.cli.account_status import ShownAccount
    from gatewayd.cli.app import App
    from gatewayd.cli.directory_status import ShownDirectory
    from gatewayd.errors import Fault

__all__ = ["COMMANDS"]

#: At most so many causes are shown to people.
_CAUSES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class _Status:
    """Everything that ``status`` shows."""

    daemons: Sequence[DaemonHealth]
    accounts: Sequence[ShownAccount]
    #: Process ids of daemons that run but can't report, and the error that keeps the store from being written.
    silent: Sequence[int]
    store: GatewaydError | None
    directories: Sequence[ShownDirectory]
    #: Causes of filings in error queues, as (operator, cause).
    queues: Sequence[tuple[str, Cause]]
    #: Numbers of deliveries that wait and that need a person, by operator; and suspended targets.
    lengths: Lengths
    suspensions: Sequence[Suspension]
    #: Faults of the config folder as it is now.
    faults: Sequence[Fault]
    #: Numbers of filings of operators and users that are no longer in the config.
    former: Mapping[tuple[str, str | None], int]
    withheld: Sequence[KnownUser]
    #: Accounts that have mail here but no file.
    forgotten: Sequence[str]
    #: Renames that are not finished.
    renames: Sequence[Rename]

    @property
    def well(self) -> bool:
        wrong = self.faults or self.suspensions or self.store or self.renames
        well = all(one.well for one in self.accounts) and all(one.well for one in self.directories)
        return bool(self.daemons) and well and not wrong


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: one object a line, each with its type.")
@click.pass_obj
def _status(app: App, *, as_json: bool) -> int:
    """Show the state of every account, with errors and advice. Exits 1 if anything is wrong, or no daemon runs."""
    state = app.config.state
    try:
        status = _collected(app)
    except GatewaydError as error:
        tell_unreadable(state, error, as_json=as_json)
        return 1
    if as_json:
        _print_json(status)
    else:
        _print(status)
    for pid in status.silent:
        output.note(
            f"gatewayd: the daemon runs as process {pid}, and can't say how it is: it goes on when the store can be written."
        )
    if not (status.daemons or status.silent):
        output.note(f"gatewayd: {NO_DAEMON}.")
    return 0 if status.well else 1


def _collected(app: App) -> _Status:
    daemons, lengths, wrong = app.daemons(), app.store.lengths(), unwritable(app.store)
    mute = silent(app.config.state, [one.holder for one in daemons]) if wrong else []
    return _Status(
        daemons=daemons,
        silent=mute,
        store=wrong,
        accounts=list(accounts(app, {one.holder for one in daemons}, lengths, mute=bool(mute))),
        directories=directories(app, {one.holder for one in daemons}),
        queues=[(one.operator, cause) for one in app.viewers(Asker(all_operators=True)) for cause in app.store.causes(one)],
        lengths=lengths,
        suspensions=app.store.suspensions(),
        faults=app.config.faults,
        former=app.former(),
        withheld=[one for one in app.store.known_users() if one.withheld],
        forgotten=forgotten(app),
        renames=[one for one in app.store.renames() if one.done_at is None],
    )


# --- for people -------------------------------------------------------------------------------------------------------


def _print(status: _Status) -> None:
    now = datetime.now(UTC)
    print_accounts(status.accounts)
    print_directories(status.directories)
    if status.store:
        output.say(f"The store can't be written: {status.store.sentences}")
    for line in [line for daemon in status.daemons for line in _daemon(daemon, now)]:
        output.say(line)
    if status.faults:
        click.echo(f"The config folder has {output.count(len(status.faults), 'fault')}; see `gatewayd check`.")
    for operator, cause in status.queues[:_CAUSES]:
        text = f"{output.count(cause.filings, 'filing')} of {operator} in {cause.queue}, by {cause.by}: {cause.error}"
        output.say(f"Error queue: {text}")
    if len(status.queues) > _CAUSES:
        click.echo(f"Error queue: {len(status.queues) - _CAUSES} more causes; see `gatewayd queue causes --all-operators`.")
    gone = (*former_lines(status.former), *withheld_lines(status.withheld), *forgotten_lines(status.forgotten))
    for line in (*_outbox(status), *gone, *_renames(status), *_unindexed(status)):
        output.say(line)


def _outbox(status: _Status) -> Iterator[str]:
    for operator in sorted({*status.lengths.undelivered, *status.lengths.stuck}):
        waiting, stuck = status.lengths.undelivered.get(operator, 0), status.lengths.stuck.get(operator, 0)
        needs = f", {stuck} need a person; see `gatewayd outbox list --operator {operator}`" if stuck else ""
        if waiting or stuck:
            wait = f"{output.count(waiting, 'delivery', 'deliveries')} of {operator} wait{'s' if waiting == 1 else ''}"
            yield f"Outbox: {wait}{needs}."
    for one in status.suspensions:
        resume = f"`gatewayd outbox resume {one.target} --operator {one.operator}`"
        since = output.minute(one.since)
        yield f"Target {one.operator}/{one.target} gets nothing since {since}: {one.cause}. Once that is mended: {resume}."


def _renames(status: _Status) -> Iterator[str]:
    for one in status.renames:
        since = output.minute(one.asked_at)
        what = f"{one.kind.capitalize()} {one.old} is being renamed to {one.new} since {since}"
        yield f"{what}. If that was broken off, finish it: `{one.command}`."


def _unindexed(status: _Status) -> Iterator[str]:
    if number := status.lengths.unindexed:
        yield f"Search: {output.count(number, 'mail')} not indexed yet."


def _daemon(one: DaemonHealth, now: datetime) -> Iterator[str]:
    deaths = f", {output.count(one.worker_deaths, 'worker')} replaced" if one.worker_deaths else ""
    held = f"{output.count(one.accounts, 'account')}, {output.count(one.workers, 'worker')}{deaths}"
    yield f"Daemon {one.holder}: version {one.version}, up {output.span((now - one.started_at).total_seconds())}, {held}."
    for breaker in one.open_breakers:
        yield f"  The matcher {breaker} failed too often and is not called for now; see `gatewayd queue causes`."
    for target in one.open_targets:
        rest = "the rest is withheld: see `gatewayd outbox list --state withheld`"
        limit = "forwards_per_sender" if " from " in target else "forwards_per_hour"
        yield f"  Rules send more to {target} than limits.{limit}; {rest}."
    for file in one.config_faults:
        yield f"  Faulty: {file}"


# --- for programs -----------------------------------------------------------------------------------------------------


def _print_json(status: _Status) -> None:
    if status.store:
        output.json_line(store_row(status.store))
    for daemon in status.daemons:
        numbers = output.fields(daemon, "version", "started_at", "accounts", "workers", "worker_deaths")
        lists = output.fields(daemon, "open_breakers", "open_targets", "config_faults")
        output.json_line({"type": "daemon", "owner": daemon.holder, **numbers, **lists})
    output.json_line(*map(account_row, status.accounts))
    json_directories(status.directories)
    output.json_line(*({"type": "queue", **cause_row(operator, cause)} for operator, cause in status.queues))
    for operator in sorted({*status.lengths.undelivered, *status.lengths.stuck}):
        waiting, stuck = status.lengths.undelivered.get(operator, 0), status.lengths.stuck.get(operator, 0)
        output.json_line({"type": "outbox", "operator": operator, "waiting": waiting, "stuck": stuck})
    for one in status.suspensions:
        output.json_line({"type": "suspension", **output.fields(one, "operator", "target", "since", "cause")})
    for (operator, user), number in sorted(status.former.items(), key=str):
        output.json_line({"type": "former", "operator": operator, "user": user, "filings": number})
    for user_back in status.withheld:
        output.json_line({"type": "withheld", **output.fields(user_back, "operator"), "user": user_back.name})
    output.json_line(*({"type": "forgotten", "account": name} for name in status.forgotten))
    for rename in status.renames:
        output.json_line({"type": "rename", **output.fields(rename, "kind", "old", "new", "who", "asked_at")})
    if status.lengths.unindexed:
        output.json_line({"type": "search", "unindexed": status.lengths.unindexed})
    for fault in status.faults:
        row: dict[str, output.Json] = {"type": "fault", "file": fault.file}
        output.json_line({**row, "line": fault.line or None, "column": fault.column or None, "what": fault.what})


COMMANDS = (_status,)
