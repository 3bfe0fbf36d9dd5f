"""``account add``: ask a person for what a new mailbox needs, try the log-in, and write the account's file and its secret."""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatewayd import config
from gatewayd.cli import output
from gatewayd.cli.account_questions import asked, asked_address, asked_password, goes_on, servers_of, with_server
from gatewayd.cli.config_writer import written_later
from gatewayd.cli.online import try_account
from gatewayd.cli.params import asker_of
from gatewayd.cli.removed import account_files
from gatewayd.cli.user_account import add_mailbox
from gatewayd.config.models.fields import NAME
from gatewayd.errors import GatewaydError, PermanentError
from gatewayd.runtime.atomic_files import write_file

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from gatewayd.cli.app import App

__all__ = ["add"]


@click.command("add")
@click.argument("name", required=False)
@click.option(
    "--user", metavar="OPERATOR/USER", default="", help="A user's own: kept in the store, without NAME; with it, as a file."
)
@click.option("--ca-file", metavar="FILE", default="", help="Certificates to trust in place of the system's.")
@click.pass_obj
def add(app: App, name: str | None, user: str, ca_file: str) -> None:
    """Ask for what a new mailbox needs, try the log-in, and write the files of account NAME.

    With --user and without NAME it is a mailbox that the user adds without an administrator: no file is written.

    The host is guessed by the mail address, and the secret is asked for twice and not shown. It needs a terminal; on others,
    write the file by hand, as docs/configuration.md says. Nothing that exists is changed.
    """
    _needs_terminal()
    with written_later(app.folder, partial(_write, app.folder)) as write:
        _add(app, name, user, ca_file, write)


def _add(app: App, name: str | None, user: str, ca_file: str, write: Callable[[str], Sequence[str]]) -> None:
    app.only_files = bool(name) or not user
    # A config that can't be used is told before anything is asked.
    taken = account_files(app)
    if user:
        viewer = app.viewer(asker_of(None, user))
        user = f"{viewer.operator}/{viewer.users[0]}"
        if not name:
            if ca_file:
                raise click.UsageError("--ca-file goes with NAME: a user's own mailbox is at a server that everybody trusts")
            add_mailbox(app, viewer)
            return
    if name:
        _proven_name(app, taken, name)
    address = asked_address()
    domain = address.rpartition("@")[2]
    name = name or _asked_name(app, taken, address)
    serves = () if user else _operators(app)
    guessed = servers_of(domain)
    draft = config.AccountDraft(
        kind="", host="", port=None, security="tls", username=address, password=("!credential", name), operators=serves,
        user=user, ca_file=str(Path(ca_file).absolute()) if ca_file else "",
    )  # fmt: skip
    while True:
        draft = with_server(app, draft, domain, guessed)
        draft = replace(draft, username=asked("User name", default=draft.username))
        password = asked_password()
        output.note(f"Logging in to {draft.host} ...")
        problems = _tried(app, name, draft, password)
        for problem in problems:
            output.note(f"{name}: {problem}")
        if not problems or goes_on():
            break
    for line in write(json.dumps({"name": name, "draft": asdict(draft), "password": password})):
        output.say(line)
    _tell_next(app, name)


def _needs_terminal() -> None:
    if not sys.stdin.isatty():
        hint = "run it in a terminal, or write the files by hand: docs/configuration.md says how"
        raise click.UsageError(f"`account add` asks questions, and there is no terminal to answer them at: {hint}")


def _proven_name(app: App, taken: Collection[str], name: str) -> str:
    """Return the name, if it is one and no account has it; raises BadParameter."""
    if not NAME.fullmatch(name):
        raise click.BadParameter("expected a name such as sales: a-z, 0-9, - _ .")
    if name in taken:
        raise click.BadParameter(f"there is an account {name} already")
    if os.path.lexists(app.folder / "credentials" / name):
        raise click.BadParameter(f"there is a file credentials/{name} already, which may be another account's")
    return name


def _asked_name(app: App, taken: Collection[str], address: str) -> str:
    """Ask for the name of an account that there is not yet."""
    guess = re.sub(r"[^a-z0-9_.-]", "-", address.partition("@")[0].lower()).lstrip("_.-")[:64]
    return asked(
        "Name of the account", default=guess if guess and guess not in taken else None, check=partial(_proven_name, app, taken)
    )


def _operators(app: App) -> tuple[str, ...]:
    """Return the operators that the account is to serve."""
    there = [*app.config.operators]
    if not there:
        advice = "Write operators/NAME.yaml first; docs/configuration.md has an example."
        raise PermanentError("there is no operator that the account could serve", advice=advice)

    def known(text: str) -> tuple[str, ...]:
        words = tuple(dict.fromkeys(text.replace(",", " ").split()))
        if not words or not set(words) <= set(there):
            raise click.BadParameter(f"expected some of {', '.join(there)}")
        return words

    if len(there) == 1:
        return tuple(there)
    found: tuple[str, ...] = click.prompt("Operators that it serves", default=", ".join(there), value_proc=known, err=True)
    return found


@contextmanager
def _in_memory(secret: str) -> Iterator[str]:
    """Yield the path of a file that has the secret, and that no disk has."""
    descriptor = os.memfd_create("secret")
    try:
        os.write(descriptor, secret.encode())
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _tried(app: App, name: str, draft: config.AccountDraft, password: str) -> Sequence[str]:
    """Log in, changing nothing there; return the problems."""
    try:
        with _in_memory(password) as path:
            return try_account(app, config.drafted(app.config, name, replace(draft, password=("!file", path)).text()))
    except GatewaydError as error:
        return [error.sentences]


@contextmanager
def _all_or_none(files: Sequence[Path]) -> Iterator[None]:
    """Remove files unless the block comes to its end."""
    try:
        yield
    except BaseException:
        for path in files:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        raise


def _write(folder: Path, said: str) -> Iterator[str]:
    """Write the secret and the file of an account that is not there yet, both or neither; yield what was done.

    No plugin can have anything else written by what is said: neither another file, nor one that exists.
    """
    given = json.loads(said)
    name, password = str(given["name"]), str(given["password"])
    if not NAME.fullmatch(name):
        raise PermanentError(f"no account can be called {name!r}", advice="Choose a name such as sales.")
    draft = config.AccountDraft(**given["draft"] | {"password": ("!credential", name)})
    file, secret = folder / "accounts" / f"{name}.yaml", folder / "credentials" / name
    contents = ((secret, password.encode() + b"\n", 0o600), (file, draft.text().encode(), 0o644))
    for path, _, _ in contents:
        if os.path.lexists(path):
            raise PermanentError(f"there is a file {path} since a moment ago", advice="Run the command again for another name.")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        secret.parent.mkdir(mode=0o700, exist_ok=True)
        with _all_or_none([secret, file]):
            for path, raw, mode in contents:
                write_file(path, raw, mode=mode, replace=False)
    except OSError as error:
        advice = f"Run this as a user who may write to {folder}."
        raise PermanentError(f"{error.filename or folder}: {error.strerror}", advice=advice) from error
    yield from (f"wrote    {path}" for path in (secret, file))


def _tell_next(app: App, name: str) -> None:
    faults = [fault for fault in config.load(app.folder, app.registry).faults if fault.file == f"accounts/{name}.yaml"]
    for fault in faults:
        output.say(str(fault))
    if app.has_store() and app.daemons():
        output.note("Where systemd runs gatewayd, it has the new secret from its next start on: systemctl restart gatewayd")
    output.note(f"Next: `gatewayd import {name}` imports it now, and `gatewayd status` shows how it is.")
