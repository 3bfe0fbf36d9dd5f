"""``import``: visit accounts now, or ask the daemon to."""

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
from gatewayd.cli.params import json_option
from gatewayd.errors import ConfigError, GatewaydError, PermanentError
from gatewayd.importing.folder_sync import preview
from gatewayd.importing.rematch import correct, retry_put_off
from gatewayd.importing.values import VisitTools
from gatewayd.importing.visit import visit
from gatewayd.runtime.events import Events
from gatewayd.runtime.standard_output import standard_output_kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gatewayd.api.delivery import Suspension
    from gatewayd.api.ledger import Filed
    from gatewayd.api.values import Listed
    from gatewayd.cli.app import App
    from gatewayd.config import AccountConfig
    from gatewayd.importing.values import Progress, VisitReport

__all__ = ["COMMANDS", "visit_all"]


@click.command("import")
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]...")
@click.option("--from-beginning", is_flag=True, help="List every folder anew and take offered mail, too; nothing is filed twice.")
@click.option("--operator", metavar="O", help="With --from-beginning: file the account's old mail for this operator, too.")
@click.option("--forward", is_flag=True, help="Let forward rules fire for old mail, too; with --from-beginning or --key.")
@click.option(
    "--key", "keys", multiple=True, metavar="K", help="Take only this key: offered, waiting, or admitted by now; may be repeated."
)
@click.option("--dry-run", is_flag=True, help="Show which keys are new; nothing is written, here or on the server.")
@json_option
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
    """Visit each ACCOUNT once, now; without any, every account that imports.

    If a daemon holds an account, the daemon is asked to visit it.
    Without ACCOUNT, it exits with 78 after all visits if config files are faulty.
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
    """Visit accounts and print the results; return whether anything failed."""
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
    """Decide provisional verdicts again if no daemon does; return whether that failed."""
    if app.daemons():
        return False
    try:
        for name in sorted({name for one in accounts for name in one.operators} & app.specs.keys()):
            # There is hardly ever one, and then the directory need not be asked.
            if app.store.provisional(name, before=datetime.now(UTC), after=0, limit=1):
                deque(correct(app.store, app.matching, app.specs[name], app.config.accounts, router=app.router), maxlen=0)
    except GatewaydError as error:
        output.error(error)
        return True
    return False


def _queued(app: App, account: AccountConfig) -> int:
    """Return how many mails of an account are in an error queue, up to ``MANY``."""
    query = Query(account=account.name, faulty=True, limit=MANY)
    viewers = [Viewer(operator=name, users=tuple(app.config.operators[name].users)) for name in account.operators]
    return min(MANY, len({filing.id for viewer in viewers for filing in app.store.filings(viewer, query)}))


def _unknown(app: App, accounts: Iterable[AccountConfig], keys: Sequence[str]) -> bool:
    """Report keys that the ledger does not have after the visits, or that are not admitted; return whether there are any."""
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
    """Visit one account, or have the daemon that holds it do so. Its error does not stop the other accounts (P4)."""
    with observed(app) as events:
        heard = _VisitEvents(events)
        tools = VisitTools(
            # First: a worker process gets ready while the store is opened.
            matching=app.matching,
            store=app.store,
            instance=app.instance,
            router=app.router,
            fetcher=app.thread,
            limits=app.config.limits,
            progress=show,
            events=heard,
        )
        try:
            done = visit(account, app.transport(account), [app.specs[name] for name in account.operators], tools, task)
            answer = asked(app, done, task, show) if isinstance(done, Held) else _remembered(app, done)
        except GatewaydError as error:
            answer = Answer(account=account.name, error=error.message, advice=error.advice)
    for name in heard.put_off:
        # The visit had no time left to match these. Those that fail again stay in their queue.
        viewer = Viewer(operator=name, users=tuple(app.config.operators[name].users))
        with suppress(GatewaydError):
            deque(retry_put_off(app.store, app.matching, app.specs[name], viewer, Query(), router=app.router), maxlen=0)
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


def _remembered(app: App, done: VisitReport) -> Answer:
    """Store for ``status`` when the account was checked and had mail, since no daemon does; return the visit's answer."""
    now = datetime.now(UTC)
    checked = None if done.error or done.unproven else now
    mail = now if done.tally.filed else None
    with suppress(GatewaydError):
        app.store.tell(
            [AccountHealth(account=done.account, holder=app.instance.name, condition="new", checked_at=checked, mail_at=mail)]
        )
    return done.answer()


def _dry_run(app: App, accounts: Sequence[AccountConfig], *, as_json: bool) -> bool:
    """Show which keys are new. An account's error does not stop the others; return whether there was one."""
    new: list[tuple[str, str, Listed]] = []
    failed = False
    for account in accounts:
        try:
            spans = app.transport(account).keys_span_folders
            with standard_output_kept(), app.session(account) as session:
                new += [(account.name, folder, one) for folder, one in preview(account, session, app.store, spans=spans)]
        except GatewaydError as error:
            failed = True
            output.error(error, account=account.name)
    if as_json:
        for name, folder, one in new:
            output.json_line({"account": name, "folder": folder, **output.fields(one, "key", "size", "arrival")})
        return failed
    rows = [
        (name, folder, one.key, "" if one.size is None else str(one.size), output.minute(one.arrival)) for name, folder, one in new
    ]
    output.table(("account", "folder", "key", "#size", "arrival"), rows)
    output.note(f"{output.count(len(new), 'key')} would be listed as new; nothing was written.")
    return failed


COMMANDS = (_import,)
