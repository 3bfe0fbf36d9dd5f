"""``import``: one visit now."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from gatewayd.api.health import AccountHealth, Answer, Task
from gatewayd.api.ledger import Held
from gatewayd.api.queries import Query, Viewer
from gatewayd.cli import output
from gatewayd.cli.answers import ANSWER, MANY, answer_json, answer_row, progress_bar, tell_answer
from gatewayd.cli.asking import asked
from gatewayd.cli.observing import observed
from gatewayd.errors import ConfigError, GatewaydError, PermanentError
from gatewayd.importing.folder_sync import preview
from gatewayd.importing.rematch import correct, retry_put_off
from gatewayd.importing.values import VisitTools
from gatewayd.importing.visit import visit
from gatewayd.registry.lazy_plugin import standard_output_kept
from gatewayd.runtime.events import Events

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from gatewayd.api.delivery import Suspension
    from gatewayd.api.ledger import Filed
    from gatewayd.api.values import Listed
    from gatewayd.cli.app import App
    from gatewayd.config import AccountConfig
    from gatewayd.importing.values import Progress, VisitReport

__all__ = ["COMMANDS", "visit_all"]


@click.command("import")
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]...")
@click.option("--from-beginning", is_flag=True, help="List every folder anew and take what was only offered; files nothing twice.")
@click.option("--operator", metavar="O", help="With --from-beginning: file the account's old mail for this operator, too.")
@click.option("--forward", is_flag=True, help="Let forward rules fire for old mail, too; with --from-beginning or --key.")
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="K",
    help="Take just this key, offered, waiting, or not admitted and admitted by now; may be repeated.",
)
@click.option("--dry-run", is_flag=True, help="Show what would come; nothing is written, here or on the server.")
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
@click.pass_obj
def _import(
    app: App,
    *,
    accounts: Sequence[str],
    from_beginning: bool,
    operator: str | None,
    keys: Sequence[str],
    forward: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Do one visit of each ACCOUNT now; without any, of every account that imports.

    Where a daemon holds an account, it is asked to do the visit, and followed.
    Without any, it exits with 78 after all visits if files of the config are faulty.
    """
    if operator and not from_beginning:
        raise click.UsageError("--operator goes with --from-beginning")
    if forward and not (from_beginning or keys):
        raise click.UsageError("--forward goes with --from-beginning or --key")
    if dry_run and (from_beginning or keys):
        raise click.UsageError("--dry-run goes with none of --from-beginning, --key and --operator")
    chosen = _chosen(app, accounts)
    if dry_run:
        failed = _dry_run(app, chosen, as_json=as_json)
    else:
        task = Task(from_beginning=from_beginning, operator=operator, keys=tuple(keys), forward=forward)
        failed = visit_all(app, chosen, task, as_json=as_json)
    if app.config.faults and not accounts:
        return 78
    return 1 if failed else 0


def _chosen(app: App, names: Sequence[str]) -> Sequence[AccountConfig]:
    app.warn_of_faults()
    if names:
        return [app.account(name) for name in names]
    importing = [one for one in app.config.accounts.values() if one.imports and one.imports.enabled]
    if importing:
        return importing
    if app.config.faults:
        raise ConfigError("no sound account imports anything", faults=app.config.faults, advice="Correct these files.")
    raise PermanentError("no account imports anything", advice="Give an account an `import:` block.")


def visit_all(app: App, chosen: Sequence[AccountConfig], task: Task, *, as_json: bool) -> bool:
    """Visit and tell; return whether anything failed."""
    rows: list[Sequence[str]] = []
    failed = False
    with progress_bar() as show:
        for account in chosen:
            with standard_output_kept():
                answer = _visit(app, account, task, show)
            failed = failed or bool(answer.error or answer.problems or answer.tally.deferred)
            queued = None if answer.error else _queued(app, account)
            if as_json:
                output.json_line({**answer_json(app, answer), "queued": queued})
            else:
                rows.append(answer_row(answer))
                tell_answer(app, answer, queued)
    output.table(ANSWER, rows)
    with standard_output_kept():
        failed = _correct(app, chosen) or failed
    return failed or _unknown(app, chosen, task.keys)


def _correct(app: App, accounts: Iterable[AccountConfig]) -> bool:
    """Give provisional verdicts again, where no daemon does; return whether that failed."""
    if app.daemons():
        return False
    try:
        for name in sorted({name for one in accounts for name in one.operators} & app.specs.keys()):
            # Hardly ever is there one, and a directory need not be asked for nothing.
            if app.store.provisional(name, before=datetime.now(UTC), after=0, limit=1):
                deque(correct(app.store, app.matching, app.specs[name], app.config.accounts, router=app.router), maxlen=0)
    except GatewaydError as error:
        output.error(error)
        return True
    return False


def _queued(app: App, account: AccountConfig) -> int:
    """Return how many mails of an account stand in an error queue, up to ``MANY``."""
    query = Query(account=account.name, faulty=True, limit=MANY)
    viewers = [Viewer(operator=name, users=tuple(app.config.operators[name].users)) for name in account.operators]
    return min(MANY, len({filing.id for viewer in viewers for filing in app.store.filings(viewer, query)}))


def _unknown(app: App, accounts: Iterable[AccountConfig], keys: Sequence[str]) -> bool:
    """Tell of keys that are not in the ledger after the visits, where what the servers list is by now, or are not admitted."""
    folders = [(one.name, folder) for one in accounts if one.imports for folder in one.imports.folders] if keys else []
    states = [(key, one.state) for name, folder in folders for key, one in app.store.known(name, folder, keys).items()]
    unknown = [key for key in keys if key not in dict(states)]
    refused = [key for key, state in states if state == "not admitted"]
    if unknown:
        advice = "`gatewayd audit ACCOUNT --list offered` lists keys."
        output.error(PermanentError(f"no such key: {', '.join(unknown)}", advice=advice))
    if refused:
        advice = "`gatewayd queue refused` lists them, and `gatewayd queue admit ID` admits one whoever sent it."
        output.error(PermanentError(f"still from nobody of the account's contact types: {', '.join(refused)}", advice=advice))
    return bool(unknown or refused)


def _visit(app: App, account: AccountConfig, task: Task, show: Callable[[Progress], None]) -> Answer:
    """Visit one account, or have the daemon do it that holds it; its error is its own, the other accounts go on (P4)."""
    with observed(app) as events:
        heard = _VisitEvents(events)
        answer = _visited(app, account, task, show, heard)
    _match_put_off(app, heard.put_off)
    return answer


class _VisitEvents(Events):
    """The events of one visit: observers hear of them, suspended targets are printed, and what was put off is remembered."""

    def __init__(self, events: Events) -> None:
        self._events = events
        #: The operators whose mail was filed without matching, for want of time.
        self.put_off: set[str] = set()

    def mails_filed(self, account: str, folder: str, mails: Sequence[Filed]) -> None:
        self._events.mails_filed(account, folder, mails)
        self.put_off |= {filing.operator for one in mails for filing in one.filings if filing.is_put_off}

    def targets_suspended(self, suspensions: Sequence[Suspension]) -> None:
        for one in suspensions:
            output.note(f"Target {one.operator}/{one.target} is suspended: {one.cause}; see `gatewayd status`.")


def _match_put_off(app: App, operators: Collection[str]) -> None:
    """Match again what no time was left for; what fails stands in its queue."""
    for name in operators:
        viewer = Viewer(operator=name, users=tuple(app.config.operators[name].users))
        with suppress(GatewaydError):
            for _ in retry_put_off(app.store, app.matching, app.specs[name], viewer, Query(), router=app.router):
                pass


def _visited(app: App, account: AccountConfig, task: Task, show: Callable[[Progress], None], events: Events) -> Answer:
    tools = VisitTools(
        # First: a worker process gets ready while the store is opened.
        matching=app.matching,
        store=app.store,
        instance=app.instance,
        router=app.router,
        fetcher=app.thread,
        limits=app.config.limits,
        progress=show,
        events=events,
    )
    specs = [app.specs[name] for name in account.operators]
    try:
        done = visit(account, app.transport(account), specs, tools, task)
        if isinstance(done, Held):
            return asked(app, done, task, show)
        _remember(app, done)
        return done.answer()
    except GatewaydError as error:
        return Answer(account=account.name, error=error.message, advice=error.advice)


def _remember(app: App, done: VisitReport) -> None:
    """Keep for ``status`` when the account was last checked and had mail; no daemon has it."""
    now = datetime.now(UTC)
    checked = None if done.error or done.unproven else now
    mail = now if done.tally.filed else None
    with suppress(GatewaydError):
        app.store.tell(
            [AccountHealth(account=done.account, holder=app.instance.name, condition="new", checked_at=checked, mail_at=mail)]
        )


def _dry_run(app: App, accounts: Sequence[AccountConfig], *, as_json: bool) -> bool:
    """Show what would come; an account's error is its own. Return whether there was one."""
    new: list[tuple[str, str, Listed]] = []
    failed = False
    for account in accounts:
        try:
            with standard_output_kept(), app.session(account) as session:
                new += [(account.name, folder, one) for folder, one in preview(account, session, app.store)]
        except GatewaydError as error:
            failed = True
            output.error(error, account=account.name)
    if as_json:
        for name, folder, one in new:
            row = {"account": name, "folder": folder, "key": one.key, "size": one.size, "arrival": output.moment(one.arrival)}
            output.json_line(row)
        return failed
    rows = [
        (name, folder, one.key, "" if one.size is None else str(one.size), output.minute(one.arrival)) for name, folder, one in new
    ]
    output.table(("account", "folder", "key", "#size", "arrival"), rows)
    output.note(f"{output.count(len(new), 'key')} would be listed as new; nothing was written.")
    return failed


COMMANDS = (_import,)
