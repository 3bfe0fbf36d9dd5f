"""Share among all plugins that talk to a server: the YAML fields of an endpoint, TLS contexts, and the meaning of socket
errors. It knows no protocol.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Mapping
from contextlib import closing, contextmanager
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from pydantic import BaseModel, Field, PrivateAttr, field_validator, model_validator

from gatewayd.api.connection import Connection
from gatewayd.api.options import ConfigPath, Duration, Secret
from gatewayd.api.public_addresses import public_places
from gatewayd.api.regular_files import read_regular
from gatewayd.errors import AuthError, ConfigError, TransientError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path
    from typing import Self

    from gatewayd.api.hosts import HostAddress

__all__ = ["Endpoint", "Login", "Server", "other_protocol", "socket_errors", "tls_context"]

#: The first bytes of servers, whether they greet or don't understand us. The longer ones first.
_BEGINNINGS = (
    (b"* BYE", "IMAP"),
    (b"* OK", "IMAP"),
    (b"* PREAUTH", "IMAP"),
    (b"+OK", "POP3"),
    (b"-ERR", "POP3"),
    (b"220", "SMTP"),
    (b"421", "SMTP"),
    (b"554", "SMTP"),
    (b"HTTP/", "HTTP"),
    (b"SSH-", "SSH"),
    # An alert, or a handshake (RFC 8446 section 5.1).
    (b"\x15\x03", "TLS"),
    (b"\x16\x03", "TLS"),
)
#: OpenSSL's reasons if plain text comes in place of TLS.
_PLAIN = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG")


#: Letters of any script: a name may be written as people read it (RFC 5890), without quotes and signs.
_HOST = re.compile(r"\w(?:[\w-]*+(?<!-))(?:\.\w(?:[\w-]*+(?<!-)))*\.?")
#: A name that ends in a number can only be an address (RFC 1123 section 2.1).
_NUMBERED = re.compile(r"(?:.*\.)?[0-9]+\.?")
#: OpenSSL's words for a certificate of another name (openssl-verification-options(1)).
_OTHER_NAME = (62, 64)
#: How many names of a certificate a message shows, and how many seconds the server may take to send it.
_NAMED, _SHOWS = 5, 5.0


class Server(BaseModel):
    """The YAML fields of a server. Mix it into an ``Options`` model."""

    #: The standard port of the protocol for each ``security``; by class.
    ports: ClassVar[Mapping[str, int]] = {}

    host: str = Field(
        description="Name or address of the server.",
        max_length=253,
        json_schema_extra={"minLength": 1, "pattern": r"^[^\s/@\x00]+$"},
    )
    port: int | None = Field(None, description="Port; by default the standard one for `security`.", ge=1, le=65535)
    security: Literal["tls", "starttls", "none"] = Field(
        "tls", description="`tls` from the first byte, `starttls`, or `none`, which needs `insecure: true`."
    )
    insecure: bool = Field(False, description="Allows `security: none`: password and mail go over the network in plain text.")
    ca_file: ConfigPath | None = Field(None, description="Certificates to trust in place of the system's, as a PEM file.")
    timeout: Duration = Field(
        60.0,
        description="How long each step on the network may take as a whole; greeting and log-in are one. A long step may take "
        "longer while at least 8 KiB a second move.",
        gt=0,
        le=3600,
    )

    #: See ``public_only``.
    _public_only: bool = PrivateAttr(default=False)

    def public_only(self) -> Self:
        """Return the same server, which is connected to by public addresses only: for a host that is no administrator's word."""
        found = self.model_copy()
        # pydantic's model_copy sets no private attribute.
        found._public_only = True  # noqa: SLF001  it is our own class
        return found

    def permitted(self, places: Sequence[HostAddress], /) -> Sequence[HostAddress]:
        """Return those of the host's addresses that may be connected to; raises AuthError if there is none. It names none."""
        found = public_places(places) if self._public_only else places
        if places and not found:
            advice = "Correct the host. One inside your own network has to be named by an administrator: `accounts_of_users.hosts`."
            raise AuthError(f"{self.where}: the host has no public address", advice=advice)
        return found

    @property
    def effective_port(self) -> int:
        """The port to connect to: the given one, else the standard one for ``security``."""
        return self.port or self.ports[self.security]

    @property
    def where(self) -> str:
        """Host and port, as messages name the server."""
        return f"{self.host}:{self.effective_port}"

    @field_validator("host")
    @classmethod
    def _host_is_one(cls, host: str) -> str:
        if wrong := _no_host(host):
            raise ValueError(wrong)
        try:
            host.encode("idna")
        except UnicodeError:
            raise ValueError("expected a name or address whose parts between the dots have 1 to 63 characters") from None
        return host

    @model_validator(mode="after")
    def _insecure_is_spelled_out(self) -> Self:
        if self.security == "none" and not self.insecure:
            raise ValueError(
                "security: none sends the password in plain text; expected tls or starttls, or insecure: true beside it"
            )
        return self


class Login(Server):
    """The YAML fields of a server, and the name to log in with. Mix ``Endpoint`` or ``TokenEndpoint`` into an ``Options`` model."""

    username: str = Field(description="Name to log in with.", min_length=1, max_length=1000)

    def mailbox(self, standard: Collection[int]) -> str:
        """Return a text that identifies the mailbox: the same for all spellings of the host and for all ports of ``standard``."""
        port = "" if self.port is None or self.port in standard else f" port {self.port}"
        return f"{self.username.casefold()} at {_same_host(self.host)}{port}"


class Endpoint(Login):
    """The YAML fields of a server that one logs in to with a password. Mix it into an ``Options`` model."""

    password: Secret = Field(description="Password to log in with, as a reference.")


def _no_host(host: str) -> str:
    """Return the fault of a text that can't be a host, in words; empty if it can."""
    bare = host.strip("[]")
    try:
        ip_address(bare)
    except ValueError:
        port = re.fullmatch(r"(.+):([0-9]+)", host)
        if "://" in host:
            return "expected the server's name alone, such as imap.example.com, without the rest of the URL"
        if port:
            return f"expected the server's name alone, and {port[2]} as `port`"
        good = _HOST.fullmatch(host) and not _NUMBERED.fullmatch(host)
        return "" if good else "expected a name such as imap.example.com, or an address"
    # Brackets belong to URLs: name servers don't know them.
    return "" if host == bare else f"expected {bare}, without brackets"


def _same_host(host: str) -> str:
    """Return a host as DNS knows it, or an address in its shortest form; ``localhost`` for this machine."""
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return host.encode("idna").decode().lower().rstrip(".")
    return "localhost" if address.is_loopback else str(address)


@lru_cache(maxsize=64)
def _context(ca_file: Path | None, _changed: int) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return the verifying context for a CA file (None: the system's), the same one for all who name that file.

    Raises ConfigError where the file is missing or holds no certificate.
    """
    try:
        if ca_file:
            # Else OpenSSL waits for a FIFO that nobody writes to.
            read_regular(ca_file, 1)
        return _context(ca_file, ca_file.stat().st_mtime_ns if ca_file else 0)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it holds no certificate"
        raise ConfigError(
            f"ca_file {ca_file}: {reason}", advice="Give a PEM file with the certificate of the server's CA."
        ) from None


def _names(server: Server, port: int) -> str:
    """Return in words the names of a trusted certificate, if the server shows one at once; else an empty text.

    Without a verified name nothing is sent: it is only asked whom the certificate is for.
    """
    if server.security != "tls":
        return ""
    try:
        context = ssl.create_default_context(cafile=str(server.ca_file) if server.ca_file else None)
        context.check_hostname = False
        hurried = server.model_copy(update={"timeout": min(server.timeout, _SHOWS)})
        with closing(Connection(hurried, port, context)) as connection:
            found = cast("Sequence[tuple[str, str]]", connection.certificate.get("subjectAltName", ()))
    except (OSError, TransientError):
        return ""
    names = [value[:253] for kind, value in found if kind in {"DNS", "IP Address"} and value.isprintable()]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"; it is for {', '.join(names[:_NAMED])}{more}" if names else ""


def other_protocol(words: bytes) -> str:
    """Return the protocol of a server's first words, such as ``POP3``; empty if it is unknown."""
    return next((name for beginning, name in _BEGINNINGS if words[:16].upper().startswith(beginning)), "")


@contextmanager
def socket_errors(server: Server, port: int) -> Iterator[None]:
    """Translate the errors of sockets and TLS inside the block into the kernel's verbs, naming host and port."""
    where = f"{server.host}:{port}"
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        advice = "Correct `host` to the name in the certificate, or set `ca_file` to the CA that signed it."
        names = _names(server, port) if error.verify_code in _OTHER_NAME else ""
        reason = f"{error.verify_message.rstrip('.')}{names}"
        raise AuthError(f"{where}: the server's certificate is not trusted: {reason}", advice=advice) from error
    except ssl.SSLError as error:
        advice = "Check that `security` fits the port: `tls` speaks TLS at once, `starttls` after a greeting."
        reason = getattr(error, "reason", None) or str(error)
        if server.security == "tls" and reason in _PLAIN:
            reason, advice = "what answers there speaks no TLS at once", f"Perhaps it is a port for `security: starttls`. {advice}"
        raise TransientError(f"{where}: TLS failed: {reason}", advice=advice) from error
    except TimeoutError as error:
        advice = "Check host, port and firewall; raise `timeout` if the server is slow."
        raise TransientError(f"{where}: no answer within {server.timeout:g} s", advice=advice) from error
    except socket.gaierror as error:
        raise TransientError(f"{where}: host not found: {error.strerror}", advice="Check `host` and the name server.") from error
    except ConnectionRefusedError as error:
        raise TransientError(f"{where}: connection refused", advice="Check `port`, and that the server runs.") from error
    except OSError as error:
        raise TransientError(
            f"{where}: connection lost: {error.strerror or error}",
            advice="If it lasts, see to that server, and to the network in between.",
        ) from error
