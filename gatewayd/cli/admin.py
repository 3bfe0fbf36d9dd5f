"""``check``, ``explain``, ``plugins`` and ``schema``: look into config, matching and plugins without changing anything."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatewayd import config
from gatewayd.api.values import Follows, Link, Rivals
from gatewayd.cli import output
from gatewayd.cli.directories import check_directories
from gatewayd.cli.online import try_all
from gatewayd.cli.params import ID, Asker, json_option, operator_options
from gatewayd.cli.removed import former_lines
from gatewayd.cli.stale_secrets import other_copies
from gatewayd.config import schema
from gatewayd.config.main import FILE as MAIN
from gatewayd.errors import AuthError, GatewaydError, PermanentError
from gatewayd.importing.mailboxes import taken
from gatewayd.message.mail import BytesSource
from gatewayd.runtime.standard_output import standard_output_kept

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from gatewayd.api.values import Finding
    from gatewayd.cli.app import App
    from gatewayd.desk import Explained
    from gatewayd.message.values import Source

__all__ = ["COMMANDS"]

#: The largest file that ``explain`` reads.
_MAX_FILE = 64 << 20


@click.command("check")
@click.option("--online", is_flag=True, help="Also log in to every account and connect to targets, changing nothing there.")
@click.option("--only-files", is_flag=True, help="Only read the config files; try no secret, directory or server.")
@click.pass_obj
def _check(app: App, *, online: bool, only_files: bool) -> int:
    """Check the config files as they are: report every fault with file, line and column. Exits 78 if there is any.

    Exits 1 if a directory still answers from its previous files because the present ones can't be loaded, or if the running
    service has another copy of a secret. Skipped rows and warnings don't change the exit code.
    """
    if online and only_files:
        raise click.UsageError("--online does not go with --only-files")
    app.as_it_stands, app.only_files = True, only_files
    faults = [*app.config.faults, *(() if only_files else config.outside_faults(app.config))]
    for fault in sorted(faults):
        output.say(str(fault))
    for fault in config.right_faults(app.config):
        output.note(f"warning: {fault}")
    checked = [] if only_files else check_directories(app)
    unusable = 0 if only_files else _stored_faults(app) + sum(one.unusable for one in checked)
    outdated = any(one.outdated for one in checked)
    others = [] if only_files else [*other_copies(app)]
    for other in others:
        output.say(str(other))
    failed = try_all(app) if online else []
    things = ((app.config.accounts, "account"), (app.config.operators, "operator"))
    found = ", ".join([*(output.count(len(all_), one) for all_, one in things), output.count(len(faults) + unusable, "fault")])
    tried = f" {len(failed)} failed online: {', '.join(failed)}." if failed else " Nothing failed online." if online else ""
    output.note(f"{found}.{tried}")
    if faults or unusable:
        return 78
    return 1 if failed or outdated or others else 0


def _stored_faults(app: App) -> int:
    """Report where the config does not fit the stored data; return how many accounts wait for a decision because of that."""
    try:
        # A check neither creates a store nor migrates it.
        if not app.has_store():
            return 0
        waits = list(taken(app.config, app.store.mailboxes()))
        lost = [*_lost_key(app)]
        for line in former_lines(app.former()):
            output.note(line)
    except GatewaydError as error:
        output.note(f"warning: what is stored can't be looked at: {error.sentences}")
        return 0
    for file, why in [*lost, *((f"accounts/{name}.yaml", why) for name, why in waits)]:
        output.say(f"{file}: {why.sentences}")
    return len(lost) + len(waits)


def _lost_key(app: App) -> Iterator[tuple[str, AuthError]]:
    """Yield the fault of the key that seals consents and the like, if there are any; say which keys of before are in use still."""
    sealed = [one.password for one in app.store.user_accounts()]
    users = [(name, user) for name, operator in app.config.operators.items() for user in operator.users]
    theirs = [found for who in users if (found := app.store.user_secrets(*who))]
    sealed += [one.password for one in theirs if one.password] + [one.factor.secret for one in theirs if one.factor]
    if not (app.consents.are_needed or sealed):
        return
    try:
        config.prove_key(app.config, app.store)
    except AuthError as error:
        yield MAIN, error.alone()
        return
    used = Counter(app.consents.keys_in_use(app.store)) + Counter(one.key_id for one in sealed)
    ours = config.old_keys_in_use(app.config, used)
    for secret, number in config.old_keys_in_use(app.config, app.store.sealing_keys()).items():
        kept, others = output.count(number, "consent"), number - ours.get(secret, 0)
        later = "; each gets the new key with its next token" if secret in ours else ""
        unused = f"; {others} of no account of this config, which would need it to be used again" if others else ""
        output.note(f"{MAIN}: {secret} of `old_sealing_keys` still seals {kept}{later}{unused}")


@click.command("explain")
@operator_options
@click.argument("what", metavar="FILE.eml|ID")
@click.option("--account", metavar="A", help="For a file: explain forward rules as if it came by this account.")
@click.option("--traceback", "traces", is_flag=True, help="Show where in its code a matcher or directory failed.")
@json_option
@click.pass_obj
def _explain(app: App, *, what: str, asker: Asker, account: str | None, traces: bool, as_json: bool) -> int:
    """Show for a stored mail or a file why each matcher linked it or not, and why each forward rule fires or not.

    Changes nothing. Rules are explained as for new mail: they don't fire for mail that was there before. Exits 1 if a matcher
    or the directory failed.
    """
    viewer = app.viewer(asker)
    if what.isascii() and what.isdigit():
        source, name = app.desk.source(viewer, ID(what)), app.desk.get(viewer, ID(what)).account
    else:
        source, name = _file(Path(what)), app.account(account).name if account else ""
    with standard_output_kept():
        found = app.desk.explain(viewer.operator, source, **_came_by(app, name))
    rows = list(_explained(app, viewer.operator, found))
    if traces:
        for _, by, text in found.findings.traces:
            output.note(f"{by}:")
            for line in text.splitlines():
                output.note(f"  {line}")
    if as_json:
        for by, said, record, because in rows:
            output.json_line({"operator": viewer.operator, "by": by, "said": said, "record": record, "because": because})
        for one in found.rulings:
            row: dict[str, output.Json] = {"operator": viewer.operator, "rule": one.number}
            output.json_line({**row, **output.fields(one, "where", "targets", "fires", "because")})
        return 1 if found.findings.faults else 0
    output.say(f"Subject: {found.mail.subject}")
    output.table(("by", "said", "record", "because"), rows)
    rules = [
        (str(one.number), one.where, ", ".join(one.targets), "yes" if one.fires else "no", one.because) for one in found.rulings
    ]
    output.table(("#rule", "where", "to", "fires", "because"), rules)
    return 1 if found.findings.faults else 0


def _came_by(app: App, account: str) -> dict[str, str]:
    """Return the account that a mail came by, and that account's error queue, as far as they are known."""
    known = app.config.accounts.get(account)
    queue = {"queue": known.imports.error_queue} if known and known.imports else {}
    return {"account": account, **queue} if account else {}


def _file(path: Path) -> Source:
    try:
        with path.open("rb") as file:
            # It may be a pipe, so its size is not known before.
            raw = file.read(_MAX_FILE + 1)
    except OSError as error:
        raise PermanentError(
            f"{path} can't be read: {error.strerror}", advice="Give a file with one raw mail, or a mail's id."
        ) from error
    if len(raw) > _MAX_FILE:
        raise PermanentError(f"{path} is larger than {_MAX_FILE >> 20} MiB")
    return BytesSource(raw)


def _explained(app: App, operator: str, explained: Explained) -> Iterator[tuple[str, str, str, str]]:
    spoken = set()
    found = explained.findings
    findings: list[tuple[str, Finding]] = [*found.links, *found.rivals, *found.follows, *found.misses]
    for by, finding in findings:
        spoken.add(by)
        yield (by, *_said(finding, explained.ours))
    for _, fault in found.faults:
        spoken.add(fault.by)
        yield fault.by, "fault", "", fault.error
    for by, _ in app.specs[operator].matchers:
        if by in found.unanswered:
            yield by, "nothing", "", "the directory could not answer it"
        elif by not in spoken:
            yield by, "nothing", "", "it found nothing and gave no reason"


def _said(finding: Finding, ours: Collection[str]) -> tuple[str, str, str]:
    if isinstance(finding, Link):
        return "link", f"{finding.record.kind} {finding.record.id} {finding.record.label}", finding.because
    if isinstance(finding, Rivals):
        return "rivals", ", ".join(f"{one.kind} {one.id} {one.label}" for one in finding.records), finding.because
    if isinstance(finding, Follows):
        proof = "proven to be ours" if finding.message_id in ours else "not ours: it links nothing"
        return "follows", finding.message_id, f"{finding.because} ({proof})"
    return "miss", "", finding.because


@click.group("plugins")
def _plugins() -> None:
    """List plugins."""


@_plugins.command("list")
@json_option
@click.pass_obj
def _plugins_list(app: App, *, as_json: bool) -> int:
    """List all plugins, what each offers, and why a plugin is not used."""
    app.as_it_stands = True
    registry = app.registry
    rows = []
    for plugin in registry.plugins:
        offers = [f"{role}: {kind}" for role, kind in plugin.offers]
        if as_json:
            output.json_line({**output.fields(plugin, "name", "source"), "offers": [*offers], "error": plugin.error or None})
        else:
            rows.append((plugin.name, plugin.source, ", ".join(offers), plugin.error or plugin.fault or "ok"))
    output.table(("plugin", "source", "offers", "state"), rows)
    return 1 if any(plugin.error and not plugin.left_out for plugin in registry.plugins) else 0


@click.command("schema")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path())
@click.pass_obj
def _schema(app: App, folder: Path) -> None:
    """Write JSON Schemas for the config's files into FOLDER, so that editors complete and check them.

    The schemas include the options of all plugins of the config, single-file plugins too.
    """
    with schema.opened(folder) as files:
        for path in schema.write(files, app.registry):
            click.echo(os.fspath(path))


COMMANDS = (_check, _explain, _plugins, _schema)
