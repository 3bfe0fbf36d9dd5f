"""Guard a forwarder's courier: each receipt is checked before what it says is committed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from gatewayd.api.forwarder import Courier, Receipt
from gatewayd.errors import PluginError
from gatewayd.registry import checks
from gatewayd.registry.checks import Wrong
from gatewayd.runtime.traces import suspended

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd.api.forwarder import Forwarder, Notice, Parcel

__all__ = ["WrongReceipt", "open_courier"]


class WrongReceipt(PluginError):
    """What a receipt says of the parcel in hand can't be believed: it may have been delivered, and only a person can tell."""


def open_courier(forwarder: Forwarder) -> Courier:
    """Open a forwarder's courier. Raises what the forwarder raises, and PluginError where what it gives is none."""
    opened = forwarder.open()
    who = f"the forwarder {forwarder.kind} of {forwarder.name}"
    if not isinstance(opened, Courier):
        raise PluginError(f"{who} is at fault, `open`: {Wrong(opened, 'a Courier')}", advice="Mend the plugin.")
    return _Guarded(opened, who)


class _Guarded(Courier):
    def __init__(self, inner: Courier, who: str) -> None:
        self._inner = inner
        self._who = who

    def deliver(self, parcels: Sequence[Parcel]) -> Iterator[Receipt]:
        found: object = self._inner.deliver(parcels)
        if not isinstance(found, Iterable):
            raise PluginError(f"{self._who} is at fault, `deliver`: {Wrong(found, 'an iterator')}", advice="Mend the plugin.")
        left = iter(parcels)
        for one in found:
            try:
                yield _receipt(one, next(left, None))
            except Wrong as wrong:
                text = f"{self._who} is at fault, `deliver`: {wrong.at(suspended(found))}; it may have been delivered"
                raise WrongReceipt(text, advice="Mend the plugin, and look before it is sent again.") from None

    def notify(self, notice: Notice) -> Sequence[str]:
        found: object = self._inner.notify(notice)
        try:
            return checks.texts(found)
        except Wrong as wrong:
            raise PluginError(f"{self._who} is at fault, `notify`: {wrong}", advice="Mend the plugin.") from None

    def problems(self) -> Sequence[str]:
        found: object = self._inner.problems()
        try:
            return checks.texts(found)
        except Wrong as wrong:
            raise PluginError(f"{self._who} is at fault, `problems`: {wrong}", advice="Mend the plugin.") from None

    def abort(self) -> None:
        self._inner.abort()

    def close(self) -> None:
        self._inner.close()


def _receipt(value: object, parcel: Parcel | None) -> Receipt:
    """Return the receipt of the parcel whose turn it is; raises Wrong."""
    if parcel is None:
        raise Wrong(value, "no further receipt")
    found = checks.value(value, Receipt)
    if found.id != parcel.id:
        raise Wrong(found.id, f"{parcel.id}, whose turn it was", "Receipt.id")
    if tuple(one.address for one in found.recipients) != parcel.to:
        raise Wrong(found.recipients, f"the {len(parcel.to)} that it was to go to, in their order", "Receipt.recipients")
    return found
