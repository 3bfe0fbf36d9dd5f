"""Guess the servers that a mail address is read from: large providers by a table, others by their domain's SRV records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dns.resolver import Resolver

__all__ = ["MailServer", "guesses", "is_of_domain"]


@dataclass(frozen=True, slots=True)
class MailServer:
    """A server that may have a mailbox."""

    kind: Literal["imap", "pop3"]
    host: str
    port: int
    security: Literal["tls", "starttls"] = "tls"


_APP = "It wants an app password in place of yours."
#: Providers: their domains, the hosts for IMAP and POP3 (empty if it has none, or takes no passwords), both with TLS at the
#: standard ports, and a hint.
#: Source: each provider's own help pages.
_PROVIDERS: Sequence[tuple[str, str, str, str]] = (
    ("gmail.com googlemail.com", "imap.gmail.com", "pop.gmail.com", f"{_APP} Or see docs/google.md."),
    ("yahoo.com yahoo.de yahoo.fr yahoo.it yahoo.es yahoo.co.uk ymail.com", "imap.mail.yahoo.com", "pop.mail.yahoo.com", _APP),
    ("aol.com aol.de", "imap.aol.com", "pop.aol.com", _APP),
    ("icloud.com me.com mac.com", "imap.mail.me.com", "", _APP),
    ("gmx.de gmx.net gmx.at gmx.ch", "imap.gmx.net", "pop.gmx.net", "Allow POP3 and IMAP in its settings first."),
    ("gmx.com gmx.us gmx.co.uk", "imap.gmx.com", "pop.gmx.com", "Allow POP3 and IMAP in its settings first."),
    ("web.de", "imap.web.de", "pop3.web.de", "Allow POP3 and IMAP in its settings first."),
    ("zoho.com zohomail.com", "imap.zoho.com", "pop.zoho.com", "Allow IMAP in its settings first."),
    ("zoho.eu zohomail.eu", "imap.zoho.eu", "pop.zoho.eu", "Allow IMAP in its settings first."),
    ("fastmail.com fastmail.fm", "imap.fastmail.com", "pop.fastmail.com", _APP),
    ("t-online.de magenta.de", "secureimap.t-online.de", "securepop.t-online.de", "It wants its password for mail programs."),
    ("posteo.de posteo.net", "posteo.de", "posteo.de", ""),
    ("mailbox.org", "imap.mailbox.org", "pop3.mailbox.org", ""),
    (
        "outlook.com outlook.de hotmail.com hotmail.de hotmail.co.uk hotmail.fr live.com msn.com",
        "",
        "",
        "Microsoft takes no passwords any more. Write the account's file by hand, as docs/modern-authentication.md says.",
    ),
)
_PORTS = {"imap": 993, "pop3": 995}
#: RFC 6186 section 3.1 to 3.3: the service's name, and what it is. Those with TLS from the first byte come first.
_SERVICES: Sequence[tuple[str, Literal["imap", "pop3"], Literal["tls", "starttls"]]] = (
    ("_imaps", "imap", "tls"),
    ("_imap", "imap", "starttls"),
    ("_pop3s", "pop3", "tls"),
    ("_pop3", "pop3", "starttls"),
)
#: Seconds for each question to the DNS.
_PATIENCE = 3.0


def guesses(domain: str, resolver: Resolver | None = None) -> tuple[Sequence[MailServer], str]:
    """Return the servers that a domain's mail may be read from, the best first, and a hint; both may be empty.

    ``resolver``: of what DNS to ask; by default the system's. Takes at most 12 seconds. Never raises.
    """
    domain = domain.lower().rstrip(".")
    for domains, imap, pop3, hint in _PROVIDERS:
        if domain in domains.split():
            named = {"imap": imap, "pop3": pop3}
            return [MailServer(kind, named[kind], _PORTS[kind]) for kind in ("imap", "pop3") if named[kind]], hint
    return [*_by_dns(domain, resolver)], ""


def is_of_domain(host: str, domain: str) -> bool:
    """Whether a host lies in the domain of a mail address."""
    host, domain = host.lower().rstrip("."), domain.lower().rstrip(".")
    return host == domain or host.endswith(f".{domain}")


def _by_dns(domain: str, resolver: Resolver | None) -> Iterator[MailServer]:
    """Yield the servers of a domain's SRV records (RFC 2782, RFC 6186)."""
    from dns.exception import DNSException  # noqa: PLC0415  imported late: only who adds a mailbox needs it
    from dns.resolver import Resolver  # noqa: PLC0415

    for service, kind, security in _SERVICES:
        try:
            asked = resolver or Resolver()
            found = asked.resolve(f"{service}._tcp.{domain}", "SRV", lifetime=_PATIENCE)
        except (DNSException, OSError, ValueError):
            continue
        for one in sorted(found, key=lambda one: (one.priority, -one.weight)):
            # A target of "." says that there is no such service.
            if host := one.target.to_text(omit_final_dot=True).strip("."):
                yield MailServer(kind, host, one.port, security)
