"""What is known of servers that can't be sound in everything: what gatewayd must say then, and why."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["EXPECTED", "MISSING", "Told"]


class Told(NamedTuple):
    """What is said of what a server does."""

    #: A pattern for what imports say, and the audit where nothing is proven.
    says: str
    because: str
    #: Custody is proven all the same in the end.
    proven: bool = True


_POP3 = Told("POP3 can", "POP3 can only delete")
_POP3_SERVERS = ("Dovecot 2.3", "Dovecot 2.4", "Cyrus 3.6", "Courier", "popa3d", "solid-pop3d")
_NO_UIDPLUS = Told(
    "the server offers no (MOVE or )?UIDPLUS", "it can only expunge what anybody wants deleted, so gatewayd does not ask it to"
)

#: By row and column of the table.
EXPECTED: dict[tuple[str, str], Told] = {
    **{(f"{name} pop3", column): _POP3 for name in _POP3_SERVERS for column in ("seen", "move")},
    ("mailutils imap", "move"): _NO_UIDPLUS,
    ("mailutils imap", "delete"): _NO_UIDPLUS,
    ("mailutils imap", "watch"): Told("", "its IDLE never tells of new mail: it is found by looking every so often"),
    ("Courier imap", "unreadable"): Told(
        "have neither Message-ID nor Date nor Received",
        "it lists what it sends in place of a message with its size: that is filed, too, told, and nothing is done to it",
    ),
}

#: Servers that are not in the table.
MISSING: dict[str, str] = {
    "mailutils pop3": "it writes fields of its own into each message after its first session, so each is filed once more, told as another message",
    "Citadel": "neither Debian 12 nor Debian 13 has it",
    "UW IMAP": "neither Debian 12 nor Debian 13 has uw-imapd",
}
