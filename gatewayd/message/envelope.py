"""Turn an address into the form of an SMTP envelope (RFC 5321 section 4.1.2), and into the forms by which it is compared."""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING

from gatewayd.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["compared", "spellings", "wire"]

#: How an A-label begins (RFC 5890 section 2.3.2.1), and its longest in bytes (RFC 1035 section 2.3.4).
_ACE, _LONGEST_LABEL = "xn--", 63
#: The most characters in such labels of one domain; a domain with more is only known in its own spelling.
_LONGEST_ABROAD = 64
#: RFC 5321 section 4.5.3.1, in bytes.
_LONGEST_LOCAL, _LONGEST = 64, 254
# A dot-atom or a quoted string (RFC 5321 section 4.1.2), beyond ASCII as well (RFC 6531 section 3.3). Dots are allowed
# anywhere: some mailboxes have two in a row.
_LOCAL = re.compile(r"""[\w!#$%&'*+/=?^`{|}~.\x80-\U0010ffff-]+|"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*+\"""")
_DOMAIN = re.compile(r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?\.)*[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?\.?")
_LITERAL = re.compile(r"\[[A-Za-z0-9.:-]{1,60}\]")
# Python's codec knows IDNA 2003 only, which maps these characters to another domain than IDNA 2008 (RFC 5894 section 7.2).
_DEVIATE = re.compile("[\u00df\u03c2\u200c\u200d]")
# The characters that IDNA 2003 reads as a dot (RFC 3490 section 3.1), and those that it removes (RFC 3454 table B.1).
_MAPPED = {ord(dot): "." for dot in "\u3002\uff0e\uff61"} | dict.fromkeys(
    (0xAD, 0x34F, 0x1806, 0x180B, 0x180C, 0x180D, 0x200B, 0x2060, 0xFEFF, *range(0xFE00, 0xFE10))
)


# The same few addresses come again and again.
@lru_cache(maxsize=1024)
def wire(address: str) -> str:
    """Return ``local@domain`` with the domain in A-labels (RFC 5890); the local part is not changed.

    Raises PermanentError if ``address`` is no valid address, so that nothing else gets into a command or a header.
    """
    if len(address) > _LONGEST:
        raise _too_long(address)
    local, _, domain = address.rpartition("@")
    if not _LOCAL.fullmatch(local) or not local.isprintable():
        raise PermanentError(f"{address!r} is no address: expected name@domain")
    if not _LITERAL.fullmatch(domain):
        domain = _a_labels(address, domain)
    known = f"{local}@{domain}"
    if len(local.encode()) > _LONGEST_LOCAL or len(known.encode()) > _LONGEST:
        raise _too_long(address)
    return known


def _too_long(address: str) -> PermanentError:
    return PermanentError(f"{address[:100]!r} is no address: it is too long")


def _a_labels(address: str, domain: str) -> str:
    # Python's codec lowers letters whose lower case is newer than Unicode 3.2 in some versions, and not in others (CVE-2026-17084).
    lowered = domain if domain.isascii() else "".join(map(str.lower, domain))
    if _DEVIATE.search(lowered):
        raise PermanentError(
            f"the domain of {address!r} can be read in two ways", advice="Write it in A-labels, which begin with xn--."
        )
    try:
        known = lowered if lowered.isascii() else lowered.encode("idna").decode("ascii")
    except UnicodeError:
        known = ""
    if not _DOMAIN.fullmatch(known):
        raise PermanentError(f"{address!r} is no address: its domain can't be one")
    return known


def compared(address: str) -> str:
    """Return an address in the form in which two addresses are compared: in lower case, its domain in U-labels (RFC 5890).

    The domain is mapped as ``wire`` maps it. Nothing is refused: the result may be no address that mail can be sent to.

        compared("Anna@xn--mller-kva.example") -> "anna@müller.example"
    """
    known = address.lower()
    local, at, domain = known.rpartition("@")
    # Nobody has an address that is too long, and it would fill the cache.
    if not at or len(known) > _LONGEST or (domain.isascii() and _ACE not in domain):
        return known
    return f"{local}@{_read(domain)}"


# The same few domains come again and again.
@lru_cache(maxsize=4096)
def _read(domain: str) -> str:
    plain = unicodedata.normalize("NFKC", domain.translate(_MAPPED))
    folded = "".join(one if _DEVIATE.match(one) else one.casefold() for one in plain)
    return ".".join(map(_u_label, folded.split(".")))


def spellings(address: str) -> tuple[str, ...]:
    """Return an address in lower case as written, then with its domain in U-labels and in A-labels (RFC 5890), each once.

    Mail may have one spelling, and an operator's records another.

        spellings("Anna@xn--mller-kva.example") -> ("anna@xn--mller-kva.example", "anna@müller.example")
    """
    known = address.lower()
    # Nobody has an address that is too long, and it would fill the cache.
    if len(known) > _LONGEST or (known.isascii() and _ACE not in known):
        return (known,)
    return tuple(dict.fromkeys([known, _spelt(known, _u_label), _spelt(known, _a_label)]))


@lru_cache(maxsize=4096)
def _spelt(known: str, spell: Callable[[str], str]) -> str:
    local, at, domain = known.rpartition("@")
    labels = domain.split(".")
    # Converting to an A-label takes quadratic time.
    if not at or sum(len(label) for label in labels if not label.isascii() or label.startswith(_ACE)) > _LONGEST_ABROAD:
        return known
    return f"{local}@{'.'.join(map(spell, labels))}"


def _a_label(label: str) -> str:
    if label.isascii():
        return label
    # Only canonical equivalents are mapped: IDNA 2003 would turn some letters into another domain.
    written = unicodedata.normalize("NFC", label)
    known = _ACE + written.encode("punycode").decode("ascii")
    # No domain has compatibility characters, such as ½ (RFC 5892 section 2.2).
    return known if len(known) <= _LONGEST_LABEL and unicodedata.normalize("NFKC", written) == written else label


def _u_label(label: str) -> str:
    if not label.startswith(_ACE):
        return unicodedata.normalize("NFC", label)
    with suppress(UnicodeError):
        known = label.removeprefix(_ACE).encode("ascii").decode("punycode")
        # A label that does not convert back to itself may have been made to look like another domain's.
        if not known.isascii() and known.isprintable() and known == known.lower() and _a_label(known) == label:
            return known
    return label
