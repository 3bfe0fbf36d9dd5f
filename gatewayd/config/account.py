"""Read one account's file: its kind, its operators or user, and its import, send and forward blocks."""

from __future__ import annotations

from datetime import datetime
from difflib import get_close_matches
from pathlib import PurePath
from typing import TYPE_CHECKING

from gatewayd.api.forwarder import Forwarder
from gatewayd.api.roles import Transport
from gatewayd.config.consents import token_use
from gatewayd.config.credentials import account_credential
from gatewayd.config.faults import hint
from gatewayd.config.models.account import AccountFile, SendConfig
from gatewayd.config.models.fields import NAME, yaml_keys
from gatewayd.config.sharing import check_sharing, shared_with
from gatewayd.config.values import AccountConfig
from gatewayd.errors import enumerated
from gatewayd.message.values import Address
from gatewayd.runtime.times_of_day import TimesOfDay

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewayd.api.roles import Plugin
    from gatewayd.config.checker import Checker
    from gatewayd.config.credentials import SharedCredentials
    from gatewayd.config.values import OperatorConfig
    from gatewayd.config.yaml_documents import YamlPath
    from gatewayd.registry.loading import Registry

__all__ = ["account"]


def account(
    checker: Checker, registry: Registry, operators: Mapping[str, OperatorConfig], credentials: SharedCredentials, *, time_zone: str
) -> AccountConfig | None:
    """Return the account of one file, None if it has faults: these are in ``checker``. ``time_zone``: that of ``gatewayd.yaml``."""
    name = PurePath(checker.document.file).stem
    transport, forwarder = _offered(checker, registry)
    offered = transport or forwarder
    found, options = _fields(checker, registry, credentials, offered)
    serves = _owners(checker, operators)
    if offered:
        _blocks(checker, registry, offered.kind, imports=transport is not None, sends=forwarder is not None)
    if found and transport:
        _limits(checker, found, transport)
    if found is None or offered is None or options is None or checker.faults:
        return None
    told = checker.tried(("kind",), lambda: _told(transport if found.imports else None, options, name))
    if told is None:
        return None
    owner, _, user = (found.user or "").partition("/")
    return AccountConfig(
        name=name,
        kind=found.kind,
        description=found.description,
        operators=serves or (owner,),
        user=user or None,
        share=shared_with(checker, operators, found.share),
        options=options,
        credential=shared if isinstance(shared := checker.document.data.get("credential"), str) else "",
        mailbox=told[0],
        group=told[1],
        second=found.second,
        connections=_connections(found, transport),
        imports=found.imports,
        at=TimesOfDay(found.imports.at, found.time_zone or time_zone) if found.imports and found.imports.at else None,
        sends=found.sends,
        modes=forwarder.modes if forwarder else (),
        sends_lines={key: checker.document.where(("send", key)) for key in yaml_keys(SendConfig)} if found.sends else {},
        approved=tuple(Address(name=one.name, email=one.address) for one in found.forward.approved) if found.forward else (),
    )


def _fields(
    checker: Checker, registry: Registry, credentials: SharedCredentials, offered: type[Plugin] | None
) -> tuple[AccountFile | None, Plugin.Options | None]:
    """Return the kernel's fields, and the options of what is offered; None for those that have faults."""
    given = account_credential(checker, registry, credentials, offered.Options) if offered else {}
    return checker.shared(AccountFile, offered.Options if offered else None, given)


def _told(transport: type[Transport] | None, options: Plugin.Options, name: str) -> tuple[str, str]:
    """Return what a transport tells of an account: its mailbox and its group; empty without one.

    What the options tell by code of their own is asked for again and again: a fault in that is told here.
    """
    token_use(options)
    built = transport(options, account=name) if transport else None
    return (built.mailbox(), built.group()) if built else ("", "")


def _connections(found: AccountFile, transport: type[Transport] | None) -> int | None:
    """Return how many sessions may be open at once; None: as many as the server bears."""
    limits = [None if found.connections == "unlimited" else found.connections, transport.max_sessions if transport else None]
    return min((limit for limit in limits if limit is not None), default=None)


def _offered(checker: Checker, registry: Registry) -> tuple[type[Transport] | None, type[Forwarder] | None]:
    """Return what the account's kind offers; neither where there is a fault. Both have the same options."""
    data, imports, sends = checker.document.data, registry.kinds(Transport), registry.sending()
    kinds = sorted({*imports, *sends})
    word = data.get("kind")
    if "kind" not in data:
        checker.fault((), f"missing key 'kind', expected {enumerated(map(repr, kinds)) or 'the kind of a plugin'}")
    if not isinstance(word, str):
        return None, None
    if word not in kinds:
        what = "transport or forwarder of mail" if word in registry.kinds(Forwarder) else "transport or forwarder"
        checker.unknown(registry, what, word, kinds, ("kind",))
        return None, None
    transport = checker.offered(registry, Transport, word, ("kind",)) if word in imports else None
    forwarder = checker.offered(registry, Forwarder, word, ("kind",)) if word in sends else None
    if transport and forwarder and transport.Options is not forwarder.Options:
        checker.fault(("kind",), f"the transport and the forwarder {word!r} don't have the same options: their plugins don't fit")
        return None, None
    return transport, forwarder


def _blocks(checker: Checker, registry: Registry, kind: str, *, imports: bool, sends: bool) -> None:
    """Check that the kind, which imports or sends, can do what the blocks ask for."""
    data = checker.document.data
    if not sends and "send" in data:
        kinds = enumerated(map(repr, registry.sending()))
        more = f": of kind {kinds}" if kinds else ""
        checker.fault(("send",), f"send: {kind} only imports, expected an account of its own that sends{more}", key=True)
    if not imports:
        for word in ("import", "forward"):
            if word in data:
                checker.fault((word,), f"{word}: {kind} only sends, expected it in the file of an account that imports", key=True)
        if "send" not in data:
            checker.fault((), f"missing key 'send', expected it where the kind is {kind}, which only sends")
    block = data.get("send")
    if "user" in data and isinstance(block, dict) and block.get("system") is True:
        checker.fault(("send", "system"), "send.system: expected false in a personal account: it sends for its user alone")


def _owners(checker: Checker, operators: Mapping[str, OperatorConfig]) -> tuple[str, ...]:
    """Check that the operators and the user exist; return the operators of ``operators`` that do."""
    data = checker.document.data
    if ("operators" in data) == ("user" in data):
        found = "both" if "user" in data else "neither"
        checker.fault((), f"expected either 'operators' or 'user', found {found}")
    serves = _several(checker, operators)
    check_sharing(checker)
    owner, slash, user = str(data.get("user", "")).partition("/")
    known = _known(checker, operators, owner, ("user",)) if slash else None
    # Of a faulty operator the users are not known: the account goes on.
    if known and not known.faulty and user not in known.users:
        checker.fault(("user",), f"unknown user {user!r} of operator {owner!r}{hint(user, known.users)}")
    return serves


def _several(checker: Checker, operators: Mapping[str, OperatorConfig]) -> tuple[str, ...]:
    """Return the operators of the account that have a file. One that has none costs the others nothing (promise P4)."""
    listed_ = checker.document.data.get("operators")
    if listed_ == "all":
        every = tuple(name for name, one in operators.items() if one.receive)
        if not every:
            what = "there is no operator, or each has 'receive: false': expected one that receives"
            checker.fault(("operators",), f"operators: {what}")
        return every
    words = [word for word in listed_ if isinstance(word, str)] if isinstance(listed_, list) else []
    serves = tuple(word for word in words if word in operators)
    for index, word in enumerate(listed_ if isinstance(listed_, list) else []):
        if not serves or not isinstance(word, str) or not NAME.fullmatch(word):
            _known(checker, operators, word, ("operators", index))
        elif word not in operators:
            near = hint(word, get_close_matches(word, operators, n=1))
            what = f"there is no operators/{word}.yaml, and the account goes on for {enumerated(map(repr, serves), 'and')} alone"
            checker.lesser(("operators", index), f"unknown operator {word!r}{near or ':'} {what}")
    return serves


def _known(checker: Checker, operators: Mapping[str, OperatorConfig], word: object, place: YamlPath) -> OperatorConfig | None:
    if not isinstance(word, str):
        return None
    if word not in operators:
        checker.fault(place, f"unknown operator {word!r}{hint(word, operators)}")
    return operators.get(word)


def _limits(checker: Checker, found: AccountFile, transport: type[Transport]) -> None:
    """Check that the transport can do what the kernel's fields ask for."""
    most = transport.max_sessions
    given = checker.document.data.get("connections")
    if most is not None and isinstance(given, int) and given > most:
        checker.fault(("connections",), f"connections: expected at most {most}, as {found.kind} allows, found {given}")
    imports = found.imports
    if imports is None:
        return
    inboxes = [name for name in imports.folders if _folder(name) == "INBOX"]
    if len(inboxes) > 1:
        what = f"import.folders: {inboxes[0]!r} and {inboxes[1]!r} are one folder, expected it once"
        checker.fault(("import", "folders"), what)
    if imports.after and imports.after.do == "move" and _folder(imports.after.folder) in map(_folder, imports.folders):
        what = f"import.after: expected a folder that the account does not import, found {imports.after.folder!r}"
        checker.fault(("import", "after", "move"), what)
    if isinstance(imports.start, datetime) and not transport.tells_arrival:
        checker.fault(("import", "start"), f"import.start: expected all or now: {found.kind} does not tell when mail arrived")


def _folder(name: str) -> str:
    # Of all names INBOX alone is one in any case (RFC 3501 section 5.1).
    return "INBOX" if name.upper() == "INBOX" else name
