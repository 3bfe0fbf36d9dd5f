"""The accounts in ``status``: condition, error and advice of each, as a table and as JSON (promise P10)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gatewayd.cli import output
from gatewayd.cli.stale_secrets import SecretAges
from gatewayd.config import account_of, is_of_user
from gatewayd.config.secret_days import expiry, remark
from gatewayd.errors import joined, sentences
from gatewayd.importing.mailboxes import taken

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gatewayd.api.health import AccountHealth, Lengths
    from gatewayd.cli.app import App
    from gatewayd.errors import Fault

__all__ = ["ShownAccount", "account_row", "accounts", "print_accounts"]

#: Conditions of an account in which nothing is wrong.
_WELL = {"working", "watching", "polling", "sending", "disabled", "new"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownAccount:
    """An account in ``status``."""

    name: str
    #: A ``Condition``, or ``unattended`` if no living daemon has reported on it.
    condition: str
    health: AccountHealth | None = None
    waiting: int = 0
    waiting_since: datetime | None = None
    #: Filed keys that are fetched once more before anything is done to them on the server.
    rereads: int = 0
    error: str = ""
    advice: str = ""
    #: When the daemon read the account's secret; None if unknown.
    secret_since: datetime | None = None

    @property
    def well(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.condition in _WELL and not self.error

    @property
    def working_since(self) -> datetime | None:
        """When the running visit began; None if none is running."""
        return self.health.working_since if self.health and self.condition == "working" else None

    @property
    def due_at(self) -> datetime | None:
        """When its next visit is due; None while it is visited, or if unknown."""
        return self.health.due_at if self.health and self.condition != "unattended" else None


def accounts(app: App, living: set[str], lengths: Lengths, *, mute: bool) -> Iterator[ShownAccount]:
    """Yield every account with a file in the config folder, valid or not, by name.

    ``living`` names the daemons that are alive. ``mute``: a daemon runs but can't write to the store, so nothing is imported.
    """
    healths = {one.account: one for one in app.store.healths()}
    # The first fault of each account's file.
    first = {fault.file: fault for fault in reversed(app.config.faults)}
    faults = {name: fault for file, fault in first.items() if (name := account_of(file))}
    waits = dict(taken(app.config, app.store.mailboxes()))
    ages = SecretAges(app)
    for name in sorted({*app.config.accounts, *faults}):
        count, since = lengths.waiting.get(name, (0, None))
        found = healths.get(name)
        attended = found if found and found.holder in living else None
        condition, error, advice = _condition(app, name, attended, faults.get(name), starting=bool(living) and found is None)
        if mute and condition == "unattended":
            condition, error = "backing off", "the store can't be written"
        if name in waits:
            condition, error, advice = "paused", waits[name].message, waits[name].advice
        secret = ages.since(name, attended.holder) if attended else None
        age = f"Its secret is that of {output.minute(secret)}." if secret and condition == "paused" and name not in waits else ""
        yield ShownAccount(
            name=name,
            condition=condition,
            health=found,
            waiting=count,
            waiting_since=since,
            rereads=lengths.rereads.get(name, 0),
            error=error,
            advice=" ".join(filter(None, [advice, age, sentences(ages.other(name)), _ending(app, name)])),
            secret_since=secret,
        )


def _ending(app: App, name: str) -> str:
    account = app.config.accounts.get(name)
    return remark(expiry(account), datetime.now(UTC).date()) if account else ""


def _condition(app: App, name: str, health: AccountHealth | None, fault: Fault | None, *, starting: bool) -> tuple[str, str, str]:
    """Return condition, error and advice. ``health`` is the report of a living daemon; reports of dead ones don't count."""
    condition = health.condition if health else "new" if starting else "unattended"
    if fault is not None:
        runs = "it runs as last accepted" if health and health.condition != "faulty" else "it does not run"
        if name in app.config.accounts:
            # A fault that lies between two files costs neither.
            stood_in = fault.file in app.config.standing_in
            runs = "it runs as last accepted" if stood_in else "it runs as it stands"
        other = [health.error] if health and health.error and health.error != str(fault) else []
        error = joined([*other, f"{str(fault).rstrip('.')} ({runs})"])
        advice = "`gatewayd check` shows all faults."
        return (condition if health else "faulty"), error, advice if is_of_user(name) else f"Correct the file; {advice}"
    account = app.config.accounts[name]
    if account.sends is None and (account.imports is None or not account.imports.enabled):
        return "disabled", "", ""
    return condition, health.error if health else "", health.advice if health else ""


def print_accounts(shown: Sequence[ShownAccount]) -> None:
    """Print them as a table."""
    now = datetime.now(UTC)
    columns = ("account", "condition", "checked", "last mail", "#waiting", "due", "what is wrong, and what to do")
    output.table(columns, [_row(one, now) for one in shown])
    if not shown:
        output.note("There are no accounts.")
    for one in [one for one in shown if one.rereads]:
        filed = f"{output.count(one.rereads, 'message')} filed with another size than the server lists"
        output.say(f"Account {one.name}: {filed}. Before anything is done to them there, they are fetched once more.")


def _row(one: ShownAccount, now: datetime) -> tuple[str, ...]:
    health = one.health
    checked = f"{output.span((now - health.checked_at).total_seconds())} ago" if health and health.checked_at else "never"
    mail = f"{output.span((now - health.mail_at).total_seconds())} ago" if health and health.mail_at else ""
    due = "" if one.due_at is None else "now" if one.due_at <= now else f"in {output.span((one.due_at - now).total_seconds())}"
    worked = f" for {output.span((now - one.working_since).total_seconds())}" if one.working_since else ""
    wrong = f"{sentences(one.error)}. {one.advice}".strip() if one.error else one.advice
    return one.name, f"{one.condition}{worked}", checked, mail, str(one.waiting) if one.waiting else "", due, wrong


def account_row(one: ShownAccount) -> Mapping[str, output.Json]:
    """Return an account as a line of JSON."""
    health = one.health
    return {
        "type": "account",
        "account": one.name,
        "condition": one.condition,
        "owner": health.holder if health and one.condition != "unattended" else None,
        **output.fields(health, "checked_at", "mail_at"),
        **output.fields(one, "working_since", "due_at"),
        **output.fields(health, "compared_at"),
        **output.fields(one, "secret_since"),
        "failures": health.failures if health else 0,
        **output.fields(one, "waiting", "waiting_since", "rereads"),
        "error": one.error or None,
        "advice": one.advice or None,
    }
