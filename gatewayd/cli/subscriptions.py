"""``subscriptions``: which accounts a user follows, and which personal accounts users share with each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gatewayd.cli import output
from gatewayd.cli.params import asker_of, json_option
from gatewayd.desk import sharing
from gatewayd.desk.following import accounts_seen, following
from gatewayd.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd.api.queries import Viewer
    from gatewayd.cli.app import App

__all__ = ["COMMANDS"]

_USER = click.option(
    "--user",
    metavar="O/U",
    required=True,
    help="Who does it, as `operator/user`; or `user`, if there is one operator.",
)
_WITH = click.argument("other", metavar="USER")


@click.group("subscriptions")
def _subscriptions() -> None:
    """What a user follows: general accounts, the own personal one, and others' that are shared."""


@_subscriptions.command("show")
@_USER
@json_option
@click.pass_obj
def _show(app: App, *, user: str, as_json: bool) -> None:
    """Show which accounts a user may see and follows, and what is shared and asked for."""
    viewer = _viewer(app, user)
    found, shares = following(app.config, app.store, viewer), sharing.shares(app.config, app.store, viewer)
    if as_json:
        for one in found:
            output.json_line({"type": "account", **output.fields(one, "account", "kind", "owner", "followed")})
        for share, by in shares:
            output.json_line({"type": "share", **output.fields(share, "account", "owner", "user", "state"), "by": by})
        return
    rows = [(one.account, one.kind, one.owner or "", "yes" if one.followed else "no") for one in found]
    output.table(("account", "kind", "of", "followed"), rows)
    if shares:
        output.say("")
    output.table(
        ("account", "of", "with", "state", "by"), [(one.account, one.owner, one.user, one.state, by) for one, by in shares]
    )
    if any(one.state == "asked" and one.owner == viewer.users[0] for one, _ in shares):
        output.note("Somebody asks: `gatewayd subscriptions agree ACCOUNT USER`, or `refuse`.")


@_subscriptions.command("set")
@click.argument("accounts", nargs=-1, required=True, metavar="ACCOUNT...")
@_USER
@click.option("--on/--off", "followed", default=True, help="Follow these accounts, which is the default, or don't.")
@click.pass_obj
def _set(app: App, *, accounts: Sequence[str], user: str, followed: bool) -> None:
    """Follow accounts, or don't: `remote --user` and `mail list --user` list mail of those that the user follows."""
    viewer = _viewer(app, user)
    seen = accounts_seen(app.config, app.store, viewer)
    for name in accounts:
        if name not in seen:
            # One that is faulty, or that there is not, is told so.
            app.account(name)
    changed = sharing.follow(app.config, app.store, viewer, accounts, followed=followed)
    output.note(f"{output.count(changed, 'account')} {'followed' if followed else 'no longer followed'} from now on.")


@_subscriptions.command("ask")
@click.argument("account")
@_USER
@click.pass_obj
def _ask(app: App, *, account: str, user: str) -> None:
    """Ask the user of a personal account of the same operator to share it."""
    viewer = _viewer(app, user)
    app.account(account)
    asked = sharing.ask_share(app.config, app.store, viewer, account)
    if asked is None:
        output.note(f"Account {account} is shared with {viewer.users[0]}.")
        return
    owner, is_new = asked
    output.note(f"{owner} is asked{'' if is_new else ' already'}, and agrees or refuses by `gatewayd subscriptions`.")


@_subscriptions.command("agree")
@click.argument("account")
@_WITH
@_USER
@click.pass_obj
def _agree(app: App, *, account: str, other: str, user: str) -> None:
    """Share the own personal account with USER, who asked for it or not: all its mail, and what it offers."""
    viewer, name = _viewer(app, user), _other(app, user, other)
    app.account(account)
    done = sharing.share(app.config, app.store, viewer, account, name)
    output.note(f"Account {account} is shared with {name}{'' if done else ' already'}.")


@_subscriptions.command("refuse")
@click.argument("account")
@_WITH
@_USER
@click.pass_obj
def _refuse(app: App, *, account: str, other: str, user: str) -> None:
    """Refuse what USER asked for."""
    viewer, name = _viewer(app, user), _other(app, user, other)
    sharing.refuse_share(app.store, viewer, account, name)
    output.note(f"{name} is refused.")


@_subscriptions.command("end")
@click.argument("account")
@_WITH
@_USER
@click.pass_obj
def _end(app: App, *, account: str, other: str, user: str) -> None:
    """End what the own account was shared with USER by `agree`. What its file shares, an administrator ends."""
    viewer, name = _viewer(app, user), _other(app, user, other)
    by_file = sharing.end_share(app.config, app.store, viewer, account, name)
    still = f" It is still shared by accounts/{account}.yaml." if by_file else ""
    output.note(f"{viewer.users[0]} no longer shares account {account} with {name}.{still}")


def _viewer(app: App, user: str) -> Viewer:
    return app.viewer(asker_of(None, user))


def _other(app: App, user: str, other: str) -> str:
    """Return the name of a user of the same operator. Raises PermanentError where there is none of that name."""
    operator = _viewer(app, user).operator
    named, slash, _ = other.rpartition("/")
    if slash and named != operator:
        raise PermanentError(f"{other} is no user of operator {operator}", advice="Only its users share accounts with each other.")
    (name,) = app.viewer(asker_of(operator, other)).users
    return name


COMMANDS = (_subscriptions,)
