"""``import``: one visit now."""

from __future__ import annotations

import sys
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from gatewayd.cli import output
from gatewayd.custody import Held
from gatewayd.errors import GatewaydError, PermanentError
from gatewayd.listing import preview
from gatewayd.owner import host_and_process
from gatewayd.visit import Progress, Report, Tools, visit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gatewayd.cli.app import App
    from gatewayd.config import AccountConfig
    from gatewayd.model import Listed

__all__ = ["COMMANDS"]

_COLUMNS = ("account", "#listed", "#filed", "#duplicate", "#not admitted", "#vanished", "#deferred", "#settled")


@click.command("import")
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]...")
@click.option("--from-beginning", is_flag=True, help="List every folder anew and take what was only offered; files nothing twice.")
@click.option("--operator", metavar="O", help="With --from-beginning: file the account's old mail for this operator, too.")
@click.option("--key", "keys", multiple=True, metavar="K", help="Take just this key, offered or waiting; may be repeated.")
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
    dry_run: bool,
    as_json: bool,
) -> int:
    """Do one visit of each ACCOUNT now; without any, of every account that imports."""
    if operator and not from_beginning:
        raise click.UsageError("--operator goes with --from-beginning")
    app.warn_of_faults()
    chosen = [app.account(name) for name in accounts] or [
        one for one in app.config.accounts.values() if one.imports and one.imports.enabled
    ]
    if not chosen:
        advice = "Give an account an `import:` block; `gatewayd check` shows faults."
        raise PermanentError("no account imports anything", advice=advice)
    if dry_run:
        return _dry_run(app, chosen, as_json=as_json)
    rows: list[Sequence[str]] = []
    failed = False
    with _progress_bar() as show:
        for account in chosen:
            report = _visit(app, account, show, from_beginning=from_beginning, operator=operator, keys=keys)
            failed = failed or bool(report.error or report.problems or report.tally.deferred)
            if as_json:
                output.json_line(_json(report))
            else:
                rows.append(_row(report))
                _tell(report)
    output.table(_COLUMNS, rows)
    return 1 if failed else 0


def _visit(
    app: App,
    account: AccountConfig,
    show: Callable[[Progress], None],
    *,
    from_beginning: bool,
    operator: str | None,
    keys: Sequence[str],
) -> Report:
    """Visit one account; its error is its own, the other accounts go on (P4)."""
    tools = Tools(store=app.store, examiner=app.examiner, owner=app.owner, fetcher=app.thread, progress=show)
    recipes = [app.recipes[name] for name in account.operators]
    try:
        done = visit(account, app.transport(account), recipes, tools, from_beginning=from_beginning, keys=keys or None)
        if isinstance(done, Held):
            raise _held(done)
        return done if done.error or not operator else _file_old(app, account, operator, done)
    except GatewaydError as error:
        return Report(account=account.name, error=error)


def _held(held: Held) -> PermanentError:
    until = output.moment(held.until)
    return PermanentError(
        f"account {held.account} is being worked on by {host_and_process(held.owner)}",
        advice=f"Wait for it; its lease ends at {until} if it does not renew it.",
    )


def _file_old(app: App, account: AccountConfig, operator: str, report: Report) -> Report:
    """File the account's old mail for an operator that was added later, on purpose (design section 8)."""
    if operator not in account.operators or account.imports is None:
        raise PermanentError(f"account {account.name} does not serve operator {operator!r}", advice="Add it to `operators` first.")
    lease = app.store.take_lease(account.name, app.owner.name, dead=app.owner.dead)
    if isinstance(lease, Held):
        raise _held(lease)
    try:
        filed = sum(app.desk.file_old(lease, operator, imports=account.imports, owner=account.user))
    finally:
        app.store.release(lease)
    return replace(report, tally=replace(report.tally, filed=report.tally.filed + filed))


def _dry_run(app: App, accounts: Sequence[AccountConfig], *, as_json: bool) -> int:
    new: list[tuple[str, str, Listed]] = []
    for account in accounts:
        with closing(app.transport(account).open()) as session:
            new += [(account.name, folder, one) for folder, one in preview(account, session, app.store)]
    if as_json:
        for name, folder, one in new:
            row = {"account": name, "folder": folder, "key": one.key, "size": one.size, "arrival": output.moment(one.arrival)}
            output.json_line(row)
        return 0
    rows = [
        (name, folder, one.key, "" if one.size is None else str(one.size), output.moment(one.arrival) or "")
        for name, folder, one in new
    ]
    output.table(("account", "folder", "key", "#size", "arrival"), rows)
    output.note(f"{len(new)} keys would be listed as new; nothing was written.")
    return 0


@contextmanager
def _progress_bar() -> Iterator[Callable[[Progress], None]]:
    """Give what draws a progress bar on a terminal, and does nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415  imported late: only a terminal needs it
    from rich.progress import Progress as Bar  # noqa: PLC0415

    with Bar(console=Console(stderr=True), transient=True) as bar:
        tasks = {}

        def show(progress: Progress) -> None:
            name = f"{progress.account} {output.clean(progress.folder)}"
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=progress.total)
            bar.update(tasks[name], completed=progress.done, total=progress.total)

        yield show


def _row(report: Report) -> Sequence[str]:
    tally = report.tally
    numbers = (report.listed, tally.filed, tally.duplicate, tally.not_admitted, tally.vanished, tally.deferred, report.settled)
    return (report.account, *(str(number) for number in numbers))


def _tell(report: Report) -> None:
    for text in (*report.notes, *report.problems):
        output.note(f"{report.account}: {text}")
    if report.error:
        output.error(report.error)


def _json(report: Report) -> dict[str, output.Json]:
    return {
        "account": report.account,
        "listed": report.listed,
        "filed": report.tally.filed,
        "duplicate": report.tally.duplicate,
        "not_admitted": report.tally.not_admitted,
        "vanished": report.tally.vanished,
        "deferred": report.tally.deferred,
        "settled": report.settled,
        "problems": list(report.problems),
        "notes": list(report.notes),
        "error": report.error.message if report.error else None,
        "advice": report.error.advice if report.error else None,
    }


COMMANDS = (_import,)
