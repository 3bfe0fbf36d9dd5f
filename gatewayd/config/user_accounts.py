"""Let the mailboxes that users added run beside those that have files: always chosen from, over verified TLS, at mail ports.

What a user typed is never trusted: it is judged anew with each config, as if the store had been written by somebody else.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from ipaddress import ip_address
from typing import TYPE_CHECKING

from pydantic import ValidationError

from gatewayd.api.endpoint import Server
from gatewayd.api.options import Secret
from gatewayd.api.roles import Transport
from gatewayd.config.models.account import ImportConfig
from gatewayd.config.models.fields import NAME
from gatewayd.config.values import AccountConfig
from gatewayd.errors import Fault, GatewaydError, PermanentError, PluginError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from gatewayd.api.store.user_accounts import NewUserAccount, UserAccount
    from gatewayd.config.models.main import AccountsOfUsers
    from gatewayd.config.values import Config
    from gatewayd.registry.loading import Registry

__all__ = ["MAIL_PORTS", "KeptPassword", "account_of", "is_of_user", "made", "with_user_accounts"]

#: The ports of mail servers, by kind and security (RFC 8314).
MAIL_PORTS = {("imap", "tls"): 993, ("imap", "starttls"): 143, ("pop3", "tls"): 995, ("pop3", "starttls"): 110}
_NAME = re.compile(rf"{NAME.pattern}/{NAME.pattern}/[1-9][0-9]{{0,17}}")
#: What stands before the account's name in ``Fault.file``.
_FAULTY = "account "
#: How long each step on the network may take, in seconds.
_TIMEOUT = 60.0
#: What a user may type, in characters.
_LONGEST = 320


@dataclass(frozen=True, slots=True)
class KeptPassword(Secret):
    """A password that is sealed in the store. It is opened each time it is needed, in this process and in no other."""

    #: Opens it; raises AuthError or TransientError.
    opened: Callable[[], str] = field(default=str, repr=False, compare=False)
    #: Changes with the password, and says nothing of it.
    version: str = field(default="", repr=False)

    def reveal(self) -> str:
        """See ``Secret``."""
        return self.opened()

    def __str__(self) -> str:
        return f"sealed in the store for {self.name}"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a password that is sealed in the store is opened in no other process")


def is_of_user(account: str) -> bool:
    """Whether an account of this name was added by a user: no file has such a name."""
    return "/" in account


def account_of(file: str) -> str:
    """Return the account that a fault of this ``Fault.file`` concerns, which has a file or not; empty if it concerns none."""
    folder, slash, name = file.partition("/")
    if folder == "accounts" and slash:
        return name.removesuffix(".yaml") if name.endswith(".yaml") else ""
    return file.removeprefix(_FAULTY) if file.startswith(_FAULTY) else ""


def with_user_accounts(config: Config, rows: Sequence[UserAccount], opened: Callable[[UserAccount], str]) -> Config:
    """Return the config with the mailboxes that users added; ``opened`` opens the password of one.

    One that can't run has its fault in ``Config.faults``. None is there of a user whom the config does not have.
    """
    accounts, faults = {**config.accounts}, [*config.faults]
    for row in rows if config.accounts_of_users.enabled else ():
        operator = config.operators.get(row.operator)
        # Of a faulty operator the users are not known: they are those who were there before.
        if operator is None or not (operator.faulty or row.user in operator.users):
            continue
        try:
            if not _NAME.fullmatch(row.name):
                raise PermanentError("expected a name that no file has, such as acme/irina/1")
            accounts[row.name] = made(config, row, row.name, (row.operator, row.user), lambda row=row: opened(row))  # type: ignore[misc]
        except GatewaydError as error:
            faults.append(Fault(file=f"{_FAULTY}{row.name}", what=error.sentences))
    return replace(config, accounts=accounts, faults=tuple(sorted(faults)))


def made(config: Config, new: NewUserAccount, name: str, whose: tuple[str, str], opened: Callable[[], str]) -> AccountConfig:
    """Return the account that runs for a mailbox of the user ``whose``; raises PermanentError or PluginError where it can't."""
    transport = _transport(config.registry, new)
    password = KeptPassword("store", name, None, opened, sha256(new.password.sealed).hexdigest())
    rules = config.accounts_of_users
    options = _options(transport, new, password, max_messages=rules.max_messages)
    named = _is_named(rules, options)
    built = transport(options if named else options.public_only(), account=name)  # type: ignore[arg-type]  # it is both
    return AccountConfig(
        name=name,
        kind=new.kind,
        description=new.address,
        operators=(whose[0],),
        user=whose[1],
        options=built.options,
        mailbox=built.mailbox(),
        group=built.group(),
        # A user neither keeps an account that has a file from its mailbox, nor learns that there is one.
        second=True,
        connections=1,
        day_messages=rules.day_messages,
        imports=ImportConfig(take="chosen"),
    )


def _transport(registry: Registry, new: NewUserAccount) -> type[Transport]:
    if (new.kind, new.security) not in MAIL_PORTS:
        raise PermanentError("expected imap or pop3, with TLS", advice="Add the mailbox once more.")
    for text in (new.host, new.address, new.username):
        if not text.isprintable() or not 0 < len(text) <= _LONGEST:
            raise PermanentError(f"expected 1 to {_LONGEST} characters that can be printed, found {text[:_LONGEST]!r}")
    return registry.get(Transport, new.kind)


def _options(transport: type[Transport], new: NewUserAccount, password: KeptPassword, *, max_messages: int) -> Server:
    fields = {"host": new.host, "port": new.port, "security": new.security, "username": new.username, "password": password}
    # The server is anybody's: it lists no more than it may.
    bounds = {"max_messages": max_messages} if "max_messages" in transport.Options.model_fields else {}
    try:
        options = transport.Options.model_validate({**fields, **bounds, "timeout": _TIMEOUT})
    except ValidationError as error:
        first = error.errors()[0]
        raise PermanentError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}", advice="Add the mailbox once more.") from None
    if not isinstance(options, Server):
        raise PluginError(f"the transport {new.kind} does not say which server it talks to", advice="Add the mailbox once more.")
    return options


def _is_named(rules: AccountsOfUsers, server: Server) -> bool:
    """Whether an administrator named the server; raises PermanentError if it may not be used at all."""
    host = _spelled(server.host)
    named = f"{host}:{server.effective_port}" in map(_with_port, rules.hosts)
    standard = server.effective_port in MAIL_PORTS.values()
    if named or (standard and host in map(_spelled, rules.hosts)):
        return True
    if rules.hosts:
        advice = (
            f"Use one of {', '.join(rules.hosts)}, or ask an administrator: `accounts_of_users.hosts` in gatewayd.yaml names them."
        )
        raise PermanentError(f"no mailbox may be at {server.where}", advice=advice)
    if not standard:
        ports = ", ".join(map(str, sorted(MAIL_PORTS.values())))
        raise PermanentError(f"no mailbox may be at port {server.effective_port}", advice=f"Use one of the ports {ports}.")
    return False


def _with_port(text: str) -> str:
    host, colon, port = text.rpartition(":")
    return f"{_spelled(host)}:{port}" if colon and port.isdecimal() else ""


def _spelled(host: str) -> str:
    """Return a host as DNS knows it, or an address in its shortest form."""
    bare = host.strip("[]")
    with suppress(ValueError):
        return str(ip_address(bare))
    with suppress(UnicodeError):
        return bare.encode("idna").decode().lower().rstrip(".")
    return bare
