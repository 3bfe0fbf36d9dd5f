"""``import``: visit accounts now, or ask the daemon to."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from gatewayd.api.health import Task
from gatewayd.api.queries import Query, Viewer
from gatewayd.cli import output
from gatewayd.cli.answers import ANSWER, MANY, answer_json, answer_row, progress_bar, tell_answer
from gatewayd.cli.choosing import download
from gatewayd.cli.observing import observed
from gatewayd.cli.params import asker_of, json_option
from gatewayd.cli.visiting import visit_one
from gatewayd.errors import ConfigError, GatewaydError, PermanentError
from gatewayd.importing.folder_sync import preview
from gatewayd.importing.rematch import correct
from gatewayd.runtime.standard_output import standard_output_kept

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gatewayd.api.values import Listed
    from gatewayd.cli.app import App
    from gatewayd.config import AccountConfig

__all__ = ["COMMANDS", "visit_all"]


@click.command("import")
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]...")
@click.option("--from-beginning", is_flag=True, help="List every folder anew and take offered mail, too; nothing is filed twice.")
@click.option(
    "--operator",
    metavar="O",
    help="With --key or --offered: the operator it is filed for. With --from-beginning: file the account's old mail for it, too.",
)
@click.option("--user", metavar="O/U", help="With --key or --offered: the user who chooses, as `operator/user`.")
@click.option("--offered", is_flag=True, help="Take all that `remote --waiting` lists.")
@click.option("--forward", is_flag=True, help="Let forward rules fire for old mail, too; with --from-beginning or --key.")
@click.option(
    "--key", "keys", multiple=True, metavar="K", help="Take only this key: offered, waiting, or admitted by now; may be repeated."
)
@click.option("--folder", metavar="F", help="With --key or --offered: only mail of this folder.")
@click.option("--dry-run", is_flag=True, help="Show which keys are new; nothing is written, here or on the server.")
@json_option
@click.pass_obj
def _import(
    app: App,
    /,
    *,
    accounts: Sequence[str],
    from_beginning: bool,
    dry_run: bool,
    as_json: bool,
    **asked: Any,
) -> int:
    """Visit each ACCOUNT once, now; without any, every account that imports.

    If a daemon holds an account, the daemon is asked to visit it.
    Without ACCOUNT, it exits with 78 after all visits if config files are faulty.
    """
    operator, user, keys, folder = (asked[name] for name in ("operator", "user", "keys", "folder"))
    offered, forward = asked["offered"], asked["forward"]
    if (operator and not (from_beginning or keys or offered)) or (user and not (keys or offered)):
        raise click.UsageError("--operator goes with --from-beginning, --key or --offered, and --user with the last two")
    _check_flags(from_beginning=from_beginning, chosen=bool(keys or offered), forward=forward, dry_run=dry_run)
    if offered and (from_beginning or keys):
        raise click.UsageError("--offered goes with neither --from-beginning nor --key")
    chosen = _chosen(app, accounts)
    if offered or (not from_beginning and _is_choice(chosen, operator or user, keys)):
        if keys and not accounts:
            raise click.UsageError("name the ACCOUNT of a --key that people choose: keys of several accounts may be the same")
        asker = asker_of(operator, user)
        return int(download(app, asker, accounts, keys, folder=folder, offered=offered, forward=forward, as_json=as_json))
    if folder is not None:
        raise click.UsageError("--folder goes with --key or --offered, where people choose")
    if dry_run:
        failed = _dry_run(app, chosen, as_json=as_json)
    else:
        task = Task(from_beginning=from_beginning, operator=operator, keys=tuple(keys), forward=forward)
        failed = visit_all(app, chosen, task, as_json=as_json)
    if app.config.faults and not accounts:
        return 78
    return 1 if failed else 0


def _check_flags(*, from_beginning: bool, chosen: bool, forward: bool, dry_run: bool) -> None:
    if forward and not (from_beginning or chosen):
        raise click.UsageError("--forward goes with --from-beginning, --key or --offered")
    if dry_run and (from_beginning or chosen):
        raise click.UsageError("--dry-run goes with none of --from-beginning, --key, --offered and --operator")


def _is_choice(accounts: Iterable[AccountConfig], who: str | None, keys: Sequence[str]) -> bool:
    """Whether keys are taken for one operator alone: it is named, or people choose from one of the accounts."""
    return bool(keys) and (bool(who) or any(one.imports and one.imports.take == "chosen" for one in accounts))


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
                answer = visit_one(app, account, task, show)
            failed = failed or bool(answer.error or answer.problems or answer.tally.deferred)
            queued = None if answer.error else _queued(app, account)
            if as_json:
                output.json_line({**answer_json(app, answer), "queued": queued})
            else:
                rows.append(answer_row(answer))
                tell_answer(app, answer, queued)
    output.table(ANSWER, rows)
    for account in chosen:
        if account.imports and account.imports.take == "chosen" and not (as_json or task.keys):
            output.note(f"{account.name} imports what people choose: `gatewayd remote {account.name}` lists its mail.")
    with standard_output_kept():
        failed = _correct(app, chosen) or failed
    return failed or _unknown(app, chosen, task.keys)


def _correct(app: App, accounts: Iterable[AccountConfig]) -> bool:
    """Decide provisional verdicts again if no daemon does; return whether that failed."""
    if app.daemons():
        return False
    try:
        served, now = {name for one in accounts for name in one.operators} & app.specs.keys(), datetime.now(UTC)
        # There is hardly ever one, and then the directory need not be asked.
        doubted = [name for name in sorted(served) if app.store.provisional(name, before=now, after=0, limit=1)]
        if not doubted:
            return False
        with observed(app) as events:
            for name in doubted:
                given = correct(app.store, app.matching, app.specs[name], app.config.accounts, router=app.router, events=events)
                deque(given, maxlen=0)
    except GatewaydError as error:
        output.error(error)
        return True
    return False


def _queued(app: App, account: AccountConfig) -> int:
    """Return how many mails of an account are in an error queue, up to ``MANY``."""
    query = Query(account=account.name, faulty=True, limit=MANY)
    viewers = [Viewer(operator=name, users=tuple(app.config.operators[name].users), withheld=True) for name in account.operators]
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
