"""Compose the parcel of a delivery, which a forwarder takes: through which account it goes, to whom, with which original."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.api.forwarder import DeliveryNote, Forwarder, Parcel
from gatewayd.api.queries import Query, Viewer
from gatewayd.errors import ConfigError, PermanentError
from gatewayd.message.header_parsing import split_head
from gatewayd.message.message_ids import HOP

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gatewayd.api.delivery import Taken
    from gatewayd.api.queries import FilingView
    from gatewayd.api.store import Store
    from gatewayd.config import AccountConfig, Config, SendConfig
    from gatewayd.message.values import Address, Source

__all__ = ["filings", "parcel", "route"]

#: So many bytes of the original are searched for hops, and at most so many hops are carried on.
_HEAD, _HOPS = 262_144, 5
_LONGEST_HOP = 900


def route(config: Config, taken: Taken) -> tuple[Forwarder, Address | None]:
    """Return by whom a delivery goes, as the config is now, and the address of the account that sends; None if no mail is sent.

    Raises ConfigError that says what is in its way; PluginError where no plugin offers the forwarder.
    """
    delivery, operator = taken.delivery, config.operators.get(taken.operator)
    if operator is None or operator.faulty:
        wrong = "is not there any more" if operator is None else "is faulty"
        raise ConfigError(f"operators/{taken.operator}.yaml {wrong}")
    target = operator.targets.get(delivery.target)
    if delivery.target and target is None:
        raise ConfigError(f"operator {taken.operator} has no target {delivery.target!r} any more")
    if delivery.account:
        account, sends = _sending_account(config, taken)
        return config.registry.get(Forwarder, account.kind)(account.options, name=account.name), sends.sender
    if target is None or target.options is None:
        raise ConfigError(f"target {taken.operator}/{delivery.target} gets mail now, and needs an account")
    return config.registry.get(Forwarder, target.kind)(target.options, name=f"{taken.operator}/{target.name}"), None


def _sending_account(config: Config, taken: Taken) -> tuple[AccountConfig, SendConfig]:
    name = taken.delivery.account
    account = config.accounts.get(name)
    if account is None:
        faulty = any(fault.file == f"accounts/{name}.yaml" for fault in config.faults)
        raise ConfigError(f"accounts/{name}.yaml {'is faulty' if faulty else 'is not there any more'}")
    if account.sends is None:
        raise ConfigError(f"account {name} sends no more")
    if taken.operator not in account.operators:
        raise ConfigError(f"account {name} does not serve operator {taken.operator} any more")
    if account.user not in {None, taken.user}:
        raise ConfigError(f"account {name} belongs to user {account.user}, who does not have this mail")
    return account, account.sends


def filings(store: Store, taken: Sequence[Taken]) -> Mapping[tuple[str, int], FilingView]:
    """Return the filings of deliveries, by operator and mail, with one question to the store for each operator."""
    found: dict[tuple[str, int], FilingView] = {}
    for operator in {one.operator for one in taken}:
        ours = [one for one in taken if one.operator == operator]
        viewer = Viewer(operator=operator, users=tuple({one.user for one in ours if one.user is not None}), withheld=True)
        ids = tuple({one.mail_id for one in ours})
        found |= {(operator, filing.id): filing for filing in store.filings(viewer, Query(ids=ids, limit=len(ids)))}
    return found


def parcel(taken: Taken, filing: FilingView | None, sender: Address | None, keep: Callable[[str], object]) -> Parcel:
    """Return the parcel of a delivery, to the recipients that wait for it; raises PermanentError if it has no filing.

    ``keep`` has the store keep the forwarder's note.
    """
    if filing is None:
        raise PermanentError(f"operator {taken.operator} has no mail {taken.mail_id}")
    delivery = taken.delivery
    marked = sender is not None and delivery.mode != "as is"
    return Parcel(
        id=taken.id,
        message_id=delivery.message_id,
        filing=filing,
        source=taken.source,
        mode=delivery.mode,
        sender=sender,
        to=tuple(one.address for one in taken.recipients if one.state == "waiting"),
        addressed=tuple(one.address for one in taken.recipients),
        entered_at=taken.entered_at,
        cause=delivery.cause,
        hops=(f"{HOP}: {delivery.message_id}", *_hops(taken.source)) if marked else (),
        note=DeliveryNote(taken.note, keep),
    )


def _hops(source: Source) -> list[str]:
    """Return the hop lines of the original that are plain text."""
    raw = source.read(0, _HEAD)
    fields, _ = split_head(raw, 0, len(raw), _HEAD)
    values = [value for name, value in fields if name == HOP.lower()]
    return [f"{HOP}: {value}" for value in values if value.isascii() and value.isprintable() and len(value) <= _LONGEST_HOP][:_HOPS]
