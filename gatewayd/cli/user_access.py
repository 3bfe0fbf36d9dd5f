"""What an administrator does for people who use the pages: give a password, end web sessions or a second factor."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from gatewayd.access.kept_passwords import KeptPasswords
from gatewayd.access.passwords import good_password
from gatewayd.api.web_sessions import Activity
from gatewayd.cli import output
from gatewayd.cli.account_questions import asked_password
from gatewayd.cli.params import asker_of, json_option
from gatewayd.errors import PermanentError

if TYPE_CHECKING:
    from gatewayd.cli.app import App

__all__ = ["end_second_factor", "password", "web_sessions"]

#: Characters of a line that is read as a password.
_LONGEST = 2000
_USER = click.argument("user", metavar="OPERATOR/USER")


@click.command("password")
@_USER
@click.option("--stdin", is_flag=True, help="Take it from standard input, the first line: for scripts.")
@click.pass_obj
def password(app: App, user: str, *, stdin: bool) -> None:
    """Ask for the password by which a user logs in to the pages. It ends all web sessions of that user."""
    if not (stdin or sys.stdin.isatty()):
        raise click.UsageError("`user password` asks for a password, and there is no terminal to type it at; see --stdin")
    operator, name = _named(app, user)
    passwords = KeptPasswords(app.store)
    # What would keep it from being kept is told before it is typed.
    passwords.prove(app.config)
    known = app.store.know_user(operator, name)
    typed = good_password(sys.stdin.readline(_LONGEST).rstrip("\r\n")) if stdin else _asked()
    passwords.keep(app.config, known.id, typed)
    _note(app, operator, name, "password")
    output.note(f"{operator}/{name} has the new password, and is logged out everywhere.")


def _asked() -> str:
    while True:
        try:
            return good_password(asked_password())
        except PermanentError as error:
            output.note(f"Error: {error.sentences}")


@click.command("web-sessions")
@_USER
@click.option("--end", is_flag=True, help="End all of them: the user has to log in anew.")
@json_option
@click.pass_obj
def web_sessions(app: App, user: str, *, end: bool, as_json: bool) -> None:
    """List the browsers in which a user is logged in."""
    operator, name = _named(app, user)
    if end:
        ended = app.store.end_web_sessions(operator, name)
        if ended:
            _note(app, operator, name, f"{output.count(ended, 'web session')} ended")
        output.note(f"{output.count(ended, 'web session')} ended.")
        return
    times = app.config.web.sessions
    found = app.store.web_sessions(operator, name, idle=times.idle, longest=times.longest)
    if as_json:
        output.json_line(
            *(output.fields(one, "number", "created_at", "last_at", "expires_at", "address", "agent") for one in found)
        )
        return
    rows = [(output.minute(one.created_at), output.minute(one.last_at), one.address, one.agent) for one in found]
    output.table(("since", "last used", "from", "browser"), rows)


@click.command("end-second-factor")
@_USER
@click.pass_obj
def end_second_factor(app: App, user: str) -> None:
    """Remove the second factor of a user who has lost it, and the recovery codes. The password alone is asked for then."""
    operator, name = _named(app, user)
    if app.store.end_second_factor(app.store.know_user(operator, name).id):
        _note(app, operator, name, "second factor ended")
        output.note(f"{operator}/{name} has no second factor any more.")
    else:
        output.note(f"{operator}/{name} has no second factor.")


def _named(app: App, user: str) -> tuple[str, str]:
    viewer = app.viewer(asker_of(None, user))
    (name,) = viewer.users
    return viewer.operator, name


def _note(app: App, operator: str, user: str, what: str) -> None:
    detail = f"{what}, by {app.who} on the command line"
    app.store.note_activities([Activity(operator=operator, who=user, what="changed", detail=detail)])
