"""The folders that every Exchange mailbox has: their well-known names, and what Outlook calls them in a language."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HIDDEN", "ROOT", "display_names"]

#: The parent of all folders, and the one that holds what was deleted for good; neither is listed.
ROOT = "msgfolderroot"
HIDDEN = {ROOT, "recoverableitemsdeletions"}

#: Display names by well-known names; a language lacks what it calls like English.
_NAMES: Mapping[str, Mapping[str, str]] = {
    "en": {
        ROOT: "Top of Information Store",
        "archive": "Archive",
        "conversationhistory": "Conversation History",
        "deleteditems": "Deleted Items",
        "drafts": "Drafts",
        "inbox": "Inbox",
        "junkemail": "Junk Email",
        "outbox": "Outbox",
        "recoverableitemsdeletions": "Deletions",
        "sentitems": "Sent Items",
    },
    "de": {
        "archive": "Archiv",
        "conversationhistory": "Aufgezeichnete Unterhaltungen",
        "deleteditems": "Gelöschte Elemente",
        "drafts": "Entwürfe",
        "inbox": "Posteingang",
        "junkemail": "Junk-E-Mail",
        "outbox": "Postausgang",
        "sentitems": "Gesendete Elemente",
    },
    "nl": {
        "archive": "Archief",
        "conversationhistory": "Gespreksgeschiedenis",
        "deleteditems": "Verwijderde items",
        "drafts": "Concepten",
        "inbox": "Postvak IN",
        "junkemail": "Ongewenste e-mail",
        "outbox": "Postvak UIT",
        "sentitems": "Verzonden items",
    },
}


def display_names(language: str) -> dict[str, str]:
    """Return the display names by well-known names. Languages are ``en``, ``de`` and ``nl``."""
    return {**_NAMES["en"], **_NAMES[language]}
