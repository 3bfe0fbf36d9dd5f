"""Set up, change and remove a person's own mailboxes. The daemon alone asks DNS and mail servers, and opens passwords."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.access.activities import note
from gatewayd.config import service_keys
from gatewayd.desk import user_mailboxes
from gatewayd.desk.mail_servers import guesses
from gatewayd.errors import AuthError, TransientError
from gatewayd.rpc.answers import Count
from gatewayd.rpc.mailbox_calls import Kept, PublicKey, ServerRow, Servers
from gatewayd.sealing.passwords import about_typed

if TYPE_CHECKING:
    from gatewayd.access.people import Person
    from gatewayd.api.store.user_accounts import NewUserAccount
    from gatewayd.rpc.mailbox_calls import AddMailbox, ChangeMailboxPassword, FindServers, GetKey, RemoveMailbox
    from gatewayd.rpc.tools import Tools
    from gatewayd.sealing.keys import SealingKeys

__all__ = ["add", "change_password", "find_servers", "get_key", "remove"]

#: Seconds for a log-in as a whole. Who asks waits for 30.
_SECONDS = 20.0


def find_servers(tools: Tools, person: Person, call: FindServers) -> Servers:
    """Guess servers, by a table and DNS."""
    with tools.mailbox_tries.one(person):
        found, hint = guesses(call.address.rpartition("@")[2])
    rows = [ServerRow(kind=one.kind, host=one.host, port=one.port, security=one.security) for one in found[:10]]
    return Servers(servers=tuple(rows), hint=hint)


def get_key(tools: Tools, _: Person, __: GetKey) -> PublicKey:
    """Say by which key passwords are sealed."""
    return PublicKey(key=_keys(tools).public_key)


def add(tools: Tools, person: Person, call: AddMailbox) -> Kept:
    """Add a mailbox, if the log-in works."""
    user_mailboxes.may_add(tools.config, tools.store, person.viewer)
    new = user_mailboxes.new_mailbox(
        kind=call.kind, host=call.host, port=call.port, security=call.security, address=call.address, username=call.username
    )
    password = _opened(tools, new, call.password)
    if problems := _problems(tools, person, new, password):
        return Kept(problems=problems)
    name = user_mailboxes.add(tools.config, tools.store, person.viewer, new, password)
    note(tools.store, person, "changed", detail=f"mailbox {name} added")
    return Kept(account=name)


def change_password(tools: Tools, person: Person, call: ChangeMailboxPassword) -> Kept:
    """Change the password of a mailbox, if the log-in works by it."""
    mailbox = user_mailboxes.found(tools.store, call.account, person.viewer)
    password = _opened(tools, mailbox, call.password)
    if problems := _problems(tools, person, mailbox, password):
        return Kept(problems=problems)
    user_mailboxes.give_password(tools.config, tools.store, mailbox, password)
    note(tools.store, person, "changed", detail=f"password of mailbox {mailbox.name}")
    return Kept(account=mailbox.name)


def remove(tools: Tools, person: Person, call: RemoveMailbox) -> Count:
    """Remove a mailbox."""
    mailbox = user_mailboxes.found(tools.store, call.account, person.viewer)
    user_mailboxes.remove(tools.store, mailbox)
    note(tools.store, person, "changed", detail=f"mailbox {mailbox.name} removed")
    return Count(changed=1)


def _problems(tools: Tools, person: Person, new: NewUserAccount, password: str) -> tuple[str, ...]:
    with tools.mailbox_tries.one(person):
        return tuple(user_mailboxes.log_in_problems(tools.config, new, person.viewer, password, _SECONDS))


def _opened(tools: Tools, new: NewUserAccount, sent: str) -> str:
    try:
        return _keys(tools).opened_sent(sent, about_typed(new.host, new.port, new.username))
    except AuthError as error:
        raise TransientError(error.message, advice="Type the password again.") from None


def _keys(tools: Tools) -> SealingKeys:
    try:
        return service_keys(tools.config, tools.store, "the passwords of users' mailboxes")
    except AuthError as error:
        # It is no matter of the person's log-in.
        raise TransientError(error.message, advice=error.advice) from None
