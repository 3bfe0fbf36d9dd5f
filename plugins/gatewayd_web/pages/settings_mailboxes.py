"""A person's own mailboxes: set up, given another password, and removed. The daemon tries each log-in before anything is kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gatewayd import (
    MAIL_PORTS,
    MOST_USER_ACCOUNTS,
    GatewaydError,
    PermanentError,
    about_typed,
    calls,
    is_of_domain,
    mailbox_calls,
    seal_for,
)
from gatewayd_web.pages.settings import changed, section_page

if TYPE_CHECKING:
    from starlette.responses import Response

    from gatewayd_web.access import Visit

__all__ = ["add", "change_password", "find_servers", "mailboxes", "remove"]

_LONGEST = 320


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxForm:
    """What the person says of a new mailbox."""

    address: str
    kind: str = "imap"
    host: str = ""
    port: str = ""
    security: str = "tls"
    username: str = ""
    #: The host outside the address's domain that the person agreed to.
    agreed: str = ""

    @property
    def is_outside(self) -> bool:
        """Whether the host is not of the address's domain."""
        return bool(self.host) and not is_of_domain(self.host, self.address.rpartition("@")[2])

    @property
    def number(self) -> int:
        """The port; 0 for what is none."""
        if not self.port:
            return MAIL_PORTS.get((self.kind, self.security), 0)
        return int(self.port) if self.port.isascii() and self.port.isdecimal() and len(self.port) < 6 else 0  # noqa: PLR2004  65535


def mailboxes(visit: Visit) -> Response:
    """Show the mailboxes, and ask for the address of another one."""
    return _page(visit)


def find_servers(visit: Visit) -> Response:
    """Show the form for a mailbox, with the server that the daemon guesses."""
    address = visit.field("address").strip()[:_LONGEST]
    if "@" not in address[1:-1] or not address.isprintable():
        return _page(visit, 400, error=visit.gettext("Expected a mail address such as irina@example.com."))
    try:
        found = visit.ask(mailbox_calls.FindServers(token=visit.token, address=address), mailbox_calls.Servers)
    except GatewaydError as error:
        return _page(visit, 400, error=error.message, advice=error.advice)
    wanted = visit.field("kind") or (found.servers[0].kind if found.servers else "imap")
    one = next((one for one in found.servers if one.kind == wanted), None)
    form = MailboxForm(address=address, username=address, kind=wanted)
    if one:
        form = replace(form, host=one.host, port=str(one.port), security=one.security)
    return _page(visit, form=form, hint=found.hint)


def add(visit: Visit) -> Response:
    """Have the daemon try the log-in, and keep the mailbox if that works."""
    given = {name: visit.field(name).strip()[:_LONGEST] for name in MailboxForm.__slots__}
    form = MailboxForm(**given)
    if form.is_outside and form.agreed != form.host:
        return _page(visit, 400, form=form, error=visit.gettext("Say whether the password may be sent to that host."))
    try:
        account = _added(visit, form)
    except GatewaydError as error:
        return _page(visit, 400, form=form, error=error.message, advice=error.advice)
    except ValueError:
        return _page(visit, 400, form=form, error=visit.gettext("The form is not complete."))
    if account.problems:
        return _page(
            visit, 400, form=form, error=visit.gettext("The log-in failed: nothing is kept."), advice=" ".join(account.problems)
        )
    return changed("mailboxes", "added")


def change_password(visit: Visit) -> Response:
    """Have the daemon try another password, and keep it if it works."""
    try:
        kept = _password_changed(visit, visit.field("account"))
    except GatewaydError as error:
        return _page(visit, 400, error=error.message, advice=error.advice)
    if kept.problems:
        error_text = visit.gettext("The log-in failed: the password until now is kept.")
        return _page(visit, 400, error=error_text, advice=" ".join(kept.problems))
    return changed("mailboxes", "password")


def remove(visit: Visit) -> Response:
    """Remove a mailbox."""
    visit.ask(mailbox_calls.RemoveMailbox(token=visit.token, account=visit.field("account")[:_LONGEST] or "-"), calls.Count)
    return changed("mailboxes", "removed")


def _added(visit: Visit, form: MailboxForm) -> mailbox_calls.Kept:
    call = mailbox_calls.AddMailbox.model_validate(
        {
            "token": visit.token,
            **{name: getattr(form, name) for name in ("kind", "host", "security", "address", "username")},
            "port": form.number,
            "password": _sealed(visit, form.host, form.number, form.username),
        }
    )
    return visit.ask(call, mailbox_calls.Kept)


def _password_changed(visit: Visit, name: str) -> mailbox_calls.Kept:
    person = visit.person
    rows = visit.reader.store.user_accounts()
    one = next((one for one in rows if (one.operator, one.user, one.name) == (person.operator, person.user, name)), None)
    if one is None:
        raise PermanentError(visit.gettext("You have no mailbox of this name."))
    sealed = _sealed(visit, one.host, one.port, one.username)
    return visit.ask(mailbox_calls.ChangeMailboxPassword(token=visit.token, account=one.name, password=sealed), mailbox_calls.Kept)


def _sealed(visit: Visit, host: str, port: int, username: str) -> str:
    """Return the password that was typed, sealed for the daemon and for this log-in."""
    key = visit.ask(mailbox_calls.GetKey(token=visit.token), mailbox_calls.PublicKey).key
    return seal_for(key, visit.field("password")[:1000], about_typed(host, port, username))


def _page(visit: Visit, status: int = 200, **values: object) -> Response:
    person, rules = visit.person, visit.reader.config.accounts_of_users
    rows = visit.reader.store.user_accounts()
    own = [one for one in rows if (one.operator, one.user) == (person.operator, person.user)]
    may_add = rules.enabled and len(own) < MOST_USER_ACCOUNTS
    nothing = {"form": None, "hint": "", "error": "", "advice": ""}
    return section_page(
        visit,
        "mailboxes",
        status,
        own=own,
        enabled=rules.enabled,
        may_add=may_add,
        most=MOST_USER_ACCOUNTS,
        **{**nothing, **values},
    )
