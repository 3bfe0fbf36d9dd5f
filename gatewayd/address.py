"""Addresses as an envelope carries them (RFC 5321 section 4.1.2), from those that people and mail write."""

from __future__ import annotations

import re
from functools import lru_cache

from gatewayd.errors import PermanentError

__all__ = ["wire"]

#: RFC 5321 section 4.5.3.1, in bytes.
_LONGEST_LOCAL, _LONGEST = 64, 254
# A dot-atom or a quoted string (RFC 5321 section 4.1.2), beyond ASCII as well (RFC 6531 section 3.3). Dots may stand
# anywhere: there are mailboxes with two in a row.
_LOCAL = re.compile(r"""[\w!#$%&'*+/=?^`{|}~.\x80-\U0010ffff-]+|"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*+\"""")
_DOMAIN = re.compile(r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?\.)*[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?\.?")
_LITERAL = re.compile(r"\[[A-Za-z0-9.:-]{1,60}\]")
# Python's codec knows IDNA 2003 alone, which makes of these another domain than IDNA 2008 does (RFC 5894 section 7.2).
_DEVIATE = re.compile("[\u00df\u03c2\u200c\u200d]")


# The same few addresses again and again.
@lru_cache(maxsize=1024)
def wire(address: str) -> str:
    """Return ``local@domain`` with the domain in A-labels (RFC 5890); the local part is not changed.

    Raises PermanentError for what is no address, so that nothing else can pass for one in a command or a header.
    """
    if len(address) > _LONGEST:
        raise _too_long(address)
    local, _, domain = address.rpartition("@")
    if not _LOCAL.fullmatch(local) or not local.isprintable():
        raise PermanentError(f"{address!r} is no address: expected name@domain")
    known = f"{local}@{_a_labels(address, domain)}"
    if len(local.encode()) > _LONGEST_LOCAL or len(known.encode()) > _LONGEST:
        raise _too_long(address)
    return known


def _too_long(address: str) -> PermanentError:
    return PermanentError(f"{address[:100]!r} is no address: it is too long")


def _a_labels(address: str, domain: str) -> str:
    if _LITERAL.fullmatch(domain):
        return domain
    if _DEVIATE.search(domain):
        raise PermanentError(
            f"the domain of {address!r} can be read in two ways", advice="Write it in A-labels, which begin with xn--."
        )
    try:
        known = domain if domain.isascii() else domain.encode("idna").decode("ascii")
    except UnicodeError:
        known = ""
    if not _DOMAIN.fullmatch(known):
        raise PermanentError(f"{address!r} is no address: its domain can't be one")
    return known
