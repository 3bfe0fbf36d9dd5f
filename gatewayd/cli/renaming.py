"""``account rename``, ``operator rename`` and ``user rename``: give another name to what the config's files and the store have."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from gatewayd import config
from gatewayd.api.health import Task
from gatewayd.api.options import Secret
from gatewayd.cli import output, user_access
from gatewayd.cli.config_writer import written_later
from gatewayd.cli.params import asker_of, json_option
from gatewayd.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gatewayd.api.renames import Named, Rename
    from gatewayd.cli.app import App

__all__ = ["COMMANDS", "rename_account"]

#: Seconds that a daemon has to take the files over and finish the rename, before it is tried here.
_DAEMON = 20.0
#: Seconds that a daemon has to release an account; the lease of a dead one expires sooner.
_PATIENCE, _LOOK = 45.0, 0.5
_WHAT: dict[Named, str] = {"account": "mail", "operator": "filing", "user": "filing"}


@click.command("rename")
@click.argument("old")
@click.argument("new")
@json_option
@click.pass_obj
def rename_account(app: App, old: str, new: str, *, as_json: bool) -> None:
    """Rename account OLD to NEW, with all that is kept of it: ledger, mail, deliveries. Nothing is imported again.

    Its file is renamed, and targets, rules and `notify` that name it are changed. A daemon that runs goes on with it. What was
    broken off is finished by the same command.
    """
    for name in filter(config.is_of_user, (old, new)):
        raise PermanentError(f"{name} is the name of a mailbox that a user added, which never changes")
    _rename(app, "account", old, new, as_json=as_json)


@click.group("operator")
def _operator() -> None:
    """Rename operators."""


@_operator.command("rename")
@click.argument("old")
@click.argument("new")
@json_option
@click.pass_obj
def _rename_operator(app: App, old: str, new: str, *, as_json: bool) -> None:
    """Rename operator OLD to NEW, with all its mail, links, deliveries and choices.

    Its file is renamed, and accounts that name it are changed. A daemon that runs goes on with it. What was broken off is finished
    by the same command.
    """
    _rename(app, "operator", old, new, as_json=as_json)


@click.group("user")
def _user() -> None:
    """Rename users, give them back old mail, and let them log in to the pages."""


@_user.command("rename")
@click.argument("old", metavar="OPERATOR/OLD")
@click.argument("new")
@json_option
@click.pass_obj
def _rename_user(app: App, old: str, new: str, *, as_json: bool) -> None:
    """Rename a user of an operator to NEW, with the user's personal mail and choices. The old name sees nothing of it any more.

    The operator's file is changed, and accounts that name the user. What was broken off is finished by the same command.
    """
    operator, slash, user = old.partition("/")
    if not (operator and slash and user):
        raise click.UsageError("name the user as OPERATOR/USER, such as acme/irina")
    if "/" in new and new.partition("/")[0] != operator:
        raise click.UsageError(f"a user stays one of its operator, {operator}: give the new name alone")
    _rename(app, "user", old, f"{operator}/{new.rpartition('/')[2]}", as_json=as_json)


@_user.command("give-mail")
@click.argument("user", metavar="OPERATOR/USER")
@click.pass_obj
def _give_mail(app: App, user: str) -> None:
    """Show a user the personal mail of former users of that name, of which nothing is shown to one who came back."""
    viewer = app.viewer(asker_of(None, user))
    (name,) = viewer.users
    given = app.store.give_old_mail(viewer.operator, name)
    output.note(f"{viewer.operator}/{name} is shown the old personal mail." if given else f"Nothing is withheld from {name}.")


def _rename(app: App, kind: Named, old: str, new: str, *, as_json: bool) -> None:
    """Rename it in the files and in the store, and print what was done."""
    changes = config.file_changes(app.folder, kind, old, new)
    with written_later(app.folder, lambda _: changes.write()) as write:
        number, files = _renamed(app, kind, old, new, needed=not changes.old_is_there, write=write)
    if kind == "account":
        _tell_of_secrets(app, old, new)
    what = output.count(number, _WHAT[kind])
    if as_json:
        output.json_line({"kind": kind, "old": old, "new": new, f"{_WHAT[kind]}s": number, "files": [*files]})
    else:
        output.say(f"{kind.capitalize()} {old} is {kind} {new} now, with {what}.")
    app.warn_of_faults()


def _tell_of_secrets(app: App, old: str, new: str) -> None:
    """Say which secrets keep their names: systemd, and other files, may know them by these."""
    account = app.config.accounts.get(old) or app.config.accounts.get(new)
    values = dict(account.options).values() if account else ()
    for one in values:
        if isinstance(one, Secret) and old in one.name.split("/"):
            output.note(f"A secret keeps its name: {one}.")


def _renamed(
    app: App, kind: Named, old: str, new: str, *, needed: bool, write: Callable[[str], Sequence[str]]
) -> tuple[int, Sequence[str]]:
    """Rename it; return how many mails or filings it has, and what was done to files."""
    imports = kind == "account" and (old not in app.config.accounts or app.config.accounts[old].imports is not None)
    intent = _intent(app, kind, old, new, needed=needed)
    done = write("") if intent.done_at is None else []
    for line in done:
        output.note(line)
    number = _finished(app, intent)
    if imports and app.daemons():
        # The account may wait for a visit. One that only sends is never visited.
        app.store.ask(new, Task())
    return number, done


def _intent(app: App, kind: Named, old: str, new: str, *, needed: bool) -> Rename:
    """Return the intent, or the rename that is done already: whoever was killed at the very end runs the command again."""
    for one in app.store.renames():
        if (one.kind, one.old, one.new) == (kind, old, new) and one.done_at is not None and needed:
            return one
    return app.store.intend_rename(kind, old, new, who=app.who, needed=needed)


def _finished(app: App, intent: Rename) -> int:
    """Finish it as soon as nobody works on it; return how many mails or filings it has. Raises TransientError after 45 s.

    A daemon that runs does it itself, once it has the new config: what it does by the old one would be refused from then on.
    """
    until = time.monotonic() + (_DAEMON if app.daemons() else 0.0)
    while time.monotonic() < until and not _is_done(app, intent):
        time.sleep(_LOOK)
    until = time.monotonic() + _PATIENCE
    noted = False
    while True:
        try:
            return app.store.finish_rename(intent, dead=app.instance.dead)
        except TransientError as error:
            if time.monotonic() > until:
                raise TransientError(error.message, advice=f"Run `{intent.command}` again to finish it.") from error
            if not noted:
                output.note(f"{error.message}; waiting until it is let go of.")
            noted = True
        time.sleep(_LOOK)


def _is_done(app: App, intent: Rename) -> bool:
    mine = (intent.kind, intent.old, intent.new)
    return all(one.done_at is not None for one in app.store.renames() if (one.kind, one.old, one.new) == mine)


for _command in (user_access.password, user_access.web_sessions, user_access.end_second_factor):
    _user.add_command(_command)

COMMANDS = (_operator, _user)
