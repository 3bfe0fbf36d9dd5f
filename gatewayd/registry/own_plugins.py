"""What gatewayd's own plugins offer: so each is imported only where something of it is asked for, and no command waits for all."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["OFFERS", "SENDING"]

#: (role, kind) of each class, by the plugin's name, in the order in which it offers them. A test compares it with the plugins.
OFFERS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "contacts": (("matchers", "contacts"),),
    "csv": (("directories", "csv"),),
    "demo": (("commands", "demo"),),
    "google": (("credentials", "google"),),
    "imap": (("transports", "imap"),),
    "office365": (("transports", "office365"), ("credentials", "office365"), ("forwarders", "office365")),
    "pop3": (("transports", "pop3"),),
    "reservations": (("matchers", "reservations"),),
    "smtp": (("forwarders", "smtp"),),
    "sql": (("stores", "sql"),),
    "threads": (("matchers", "threads"),),
    "web": (("commands", "web"),),
    "webhook": (("forwarders", "webhook"),),
}

#: The kinds of their forwarders that send mail.
SENDING = frozenset({"office365", "smtp"})
