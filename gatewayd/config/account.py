"""Read one account's file."""

from __future__ import annotations

from datetime import datetime
from pathlib import PurePath
from typing import TYPE_CHECKING

from gatewayd.config.faults import hint
from gatewayd.config.models import AccountFile
from gatewayd.config.values import AccountConfig, ImportConfig
from gatewayd.model import Address
from gatewayd.roles import Transport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewayd.config.check import Checker
    from gatewayd.config.models import ImportBlock
    from gatewayd.config.values import OperatorConfig
    from gatewayd.plugins import Registry

__all__ = ["account"]


def account(checker: Checker, registry: Registry, operators: Mapping[str, OperatorConfig]) -> AccountConfig | None:
    """Return what an account's file says, None where it is faulty; ``checker`` has its faults then."""
    name = PurePath(checker.document.file).stem
    found, transport, options = checker.shared(AccountFile, registry, Transport)
    _owners(checker, operators)
    if found and transport:
        _limits(checker, found, transport)
    if found is None or transport is None or options is None or checker.faults:
        return None
    owner, _, user = (found.user or "").partition("/")
    return AccountConfig(
        name=name,
        kind=found.kind,
        description=found.description,
        operators=found.operators or (owner,),
        user=user or None,
        options=options,
        connections=_connections(found, transport),
        imports=_imports(found.import_) if found.import_ else None,
        approved=tuple(Address(name=one.name, email=one.address) for one in found.forward.approved) if found.forward else (),
    )


def _owners(checker: Checker, operators: Mapping[str, OperatorConfig]) -> None:
    """Find out whether the operators and the user exist."""
    data = checker.document.data
    if ("operators" in data) == ("user" in data):
        found = "both" if "user" in data else "neither"
        checker.fault((), f"expected either 'operators' or 'user', found {found}")
    listed = data.get("operators")
    for index, word in enumerate(listed if isinstance(listed, list) else []):
        _operator(checker, operators, word, ("operators", index))
    owner, slash, user = str(data.get("user", "")).partition("/")
    if not slash or not _operator(checker, operators, owner, ("user",)):
        return
    known = operators[owner]
    # Of a faulty operator the users are not known: the account goes on.
    if not known.faulty and user not in known.users:
        checker.fault(("user",), f"unknown user {user!r} of operator {owner!r}{hint(user, known.users)}")


def _operator(checker: Checker, operators: Mapping[str, OperatorConfig], word: object, place: tuple[str | int, ...]) -> bool:
    if isinstance(word, str) and word not in operators:
        checker.fault(place, f"unknown operator {word!r}{hint(word, operators)}")
    return isinstance(word, str) and word in operators


def _limits(checker: Checker, found: AccountFile, transport: type[Transport]) -> None:
    """Find out whether the transport can do what the kernel's fields ask for."""
    most = transport.max_sessions
    given = checker.document.data.get("connections")
    if most is not None and isinstance(given, int) and given > most:
        checker.fault(("connections",), f"connections: expected at most {most}, as {found.kind} allows, found {given}")
    after = found.import_.after if found.import_ else None
    if found.import_ and after and after.do == "move" and _folder(after.folder) in map(_folder, found.import_.folders):
        told = f"import.after: expected a folder that the account does not import, found {after.folder!r}"
        checker.fault(("import", "after", "move"), told)
    if found.import_ and isinstance(found.import_.start, datetime) and not transport.tells_arrival:
        checker.fault(("import", "start"), f"import.start: expected all or now: {found.kind} does not tell when mail arrived")


def _folder(name: str) -> str:
    # Of all names INBOX alone is one in any case (RFC 3501 section 5.1).
    return "INBOX" if name.upper() == "INBOX" else name


def _connections(found: AccountFile, transport: type[Transport]) -> int | None:
    wanted = None if found.connections == "unlimited" else found.connections
    limits = [limit for limit in (wanted, transport.max_sessions) if limit is not None]
    return min(limits, default=None)


def _imports(block: ImportBlock) -> ImportConfig:
    return ImportConfig(
        folders=block.folders,
        every=block.every,
        enabled=block.enabled,
        start=block.start,
        contact_types=block.contact_types,
        error_queue=block.error_queue,
        after=block.after,
    )
