"""Read how the administrators are told: `notify` in ``gatewayd.yaml``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.api.forwarder import Forwarder
from gatewayd.config.faults import hint
from gatewayd.config.models import NotifyConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewayd.api.roles import Plugin
    from gatewayd.config.checker import Checker
    from gatewayd.config.values import AccountConfig
    from gatewayd.registry.loading import Registry

__all__ = ["notify", "through"]


def notify(checker: Checker, registry: Registry) -> tuple[NotifyConfig, Plugin.Options | None] | None:
    """Return how the administrators are told, with the options of its forwarder; None where they are not.

    It is None, too, where ``checker`` has its faults.
    """
    data = checker.document.data
    mapping = data.get("notify")
    if not isinstance(mapping, dict):
        return None
    word = mapping.get("kind")
    offered = checker.kind(registry, Forwarder, word, ("notify", "kind")) if isinstance(word, str) else None
    if offered and offered.sends_mail:
        checker.fault(("notify", "kind"), f"notify.kind: {word} sends mail, expected 'through' with the account that sends")
        return None
    if word is not None and offered is None:
        return None
    # Without a forwarder every key is the kernel's.
    own = {key: value for key, value in mapping.items() if offered is None or key in NotifyConfig.model_fields}
    block = checker.model(NotifyConfig, own, ("notify",), beside=(offered.Options,) if offered else ())
    rest = {key: value for key, value in mapping.items() if key not in own}
    options = checker.model(offered.Options, rest, ("notify",), beside=(NotifyConfig,)) if offered else None
    if block and block.through and not data.get("administrators"):
        checker.fault(("notify", "through"), "notify.through: nobody would get a mail, expected 'administrators'")
    if block is None or (offered and options is None):
        return None
    return block, options


def through(checker: Checker, found: NotifyConfig | None, accounts: Mapping[str, AccountConfig]) -> None:
    """Find out whether the account sends by which the administrators are told. Else they are not, and all the rest goes on."""
    if found is None or not found.through:
        return
    fits = [name for name, one in accounts.items() if one.sends]
    account = accounts.get(found.through)
    if account is None:
        checker.lesser(("notify", "through"), f"notify.through: unknown account {found.through!r}{hint(found.through, fits)}")
    elif account.sends is None:
        checker.lesser(("notify", "through"), f"notify.through: account {found.through!r} sends nothing{hint('', fits)}")
