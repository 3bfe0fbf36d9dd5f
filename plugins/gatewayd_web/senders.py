"""Tell whether a sender wrote before, and whether one who did not looks like one who did."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gatewayd import Query

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatewayd import FilingView, Store, Viewer

__all__ = ["Stranger", "looks_like", "stranger"]

#: So many of the filings before are looked at, and so many that are found by name or address.
_LATEST, _FOUND = 100, 20
#: A shorter domain has too many others that differ by one letter.
_SHORTEST = 6
#: A second-level domain such as that of `co.uk` names no organisation.
_COUNTRY = 3
#: Digits and Cyrillic letters that look like others: the commonest of those in Unicode TR 39.
_LOOKS = str.maketrans("01\u0430\u0441\u0501\u0435\u0456\u0458\u04cf\u043e\u0440\u0455\u0445\u0443\u0131", "olacdeljlopsxyl")
#: The most characters of a label (RFC 1035 section 2.3.4).
_LABEL = 63
_PAIRS = (("rn", "m"), ("vv", "w"), ("cl", "d"), ("-", ""), ("i", "l"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranger:
    """A sender from whom the viewer has no earlier mail, and to whom none was written."""

    #: The address of somebody known that it could be taken for; empty if there is none.
    like: str = ""
    #: By what.
    by: Literal["", "name", "domain"] = ""


def stranger(store: Store, viewer: Viewer, filing: FilingView, ours: Iterable[str]) -> Stranger | None:
    """Return what people should know of the sender of a filing; None where there is nothing.

    Asks for a bounded number of the viewer's filings alone. ``ours`` are addresses that are known anyway: of colleagues. Nothing
    is said while older mail still waits for the index of words, unless the sender looks like somebody.
    """
    address = filing.sender.casefold()
    known = {one.casefold() for one in ours}
    if not address or filing.direction == "out" or address in known:
        return None
    before = [*store.filings(viewer, Query(before=filing.id, limit=_LATEST))]
    for words in dict.fromkeys((address, filing.sender_name)):
        before += store.filings(viewer, Query(words=f'"{words}"', before=filing.id, limit=_FOUND)) if words.strip() else []
    received = [one for one in before if one.direction == "in"]
    # To whom we wrote, we know.
    known |= {one.sender.casefold() for one in received}
    known |= {to.casefold() for one in before if one.direction == "out" for to in one.to}
    if address in known:
        return None
    named = _by_name(filing, received)
    if named:
        return Stranger(like=named, by="name")
    like = next((one for one in sorted(known) if looks_like(_domain(address), _domain(one))), "")
    if like:
        return Stranger(like=like, by="domain")
    waiting = store.unindexed(1, size=1)
    return None if waiting and waiting[0].mail_id <= filing.id else Stranger()


def _by_name(filing: FilingView, received: Iterable[FilingView]) -> str:
    """Return the address of who has the same display name at another domain; empty if nobody has."""
    name = _name(filing.sender_name)
    if not name or "@" in name:
        return ""
    domain = _domain(filing.sender)
    return next((one.sender for one in received if _name(one.sender_name) == name and _domain(one.sender) != domain), "")


def _name(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _domain(address: str) -> str:
    return address.rpartition("@")[2].casefold()


def looks_like(domain: str, known: str) -> bool:
    """Whether a domain could be taken for another one, of another organisation: it differs by one letter, or by how it looks.

    >>> looks_like("nord-reisen.example", "nordreisen.example"), looks_like("mail.nord.example", "news.nord.example")
    (True, False)
    """
    if domain == known or min(len(domain), len(known)) < _SHORTEST or _organisation(domain) == _organisation(known):
        return False
    return _look(domain) == _look(known) or _differ_by_one(domain, known)


def _organisation(domain: str) -> tuple[str, ...]:
    labels = tuple(domain.split("."))
    return labels[-2:] if len(labels) < _COUNTRY or len(labels[-2]) > _COUNTRY else labels[-3:]


def _look(domain: str) -> str:
    """Return how a domain looks, roughly. Its labels may be in A-labels (RFC 5890)."""
    shown = ".".join(map(_label, domain.split(".")))
    apart = unicodedata.normalize("NFKD", shown)
    look = "".join(one for one in apart if not unicodedata.combining(one)).translate(_LOOKS)
    for pair, one in _PAIRS:
        look = look.replace(pair, one)
    return look


def _label(label: str) -> str:
    if not label.startswith("xn--") or len(label) > _LABEL:
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return label


def _differ_by_one(one: str, other: str) -> bool:
    """Whether one letter was left out, put in, replaced, or two that stand together were exchanged."""
    if abs(len(one) - len(other)) > 1:
        return False
    begin = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    rest, other_rest = one[begin:], other[begin:]
    if rest[1:] == other_rest[1:] or rest[1:] == other_rest or rest == other_rest[1:]:
        return True
    return rest[:2] == other_rest[1::-1] and rest[2:] == other_rest[2:]
