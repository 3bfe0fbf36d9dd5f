"""A port of another protocol: each plugin names what it met there, and what to write instead."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from gatewayd import Secret, TransientError
from gatewayd_imap.transport import Imap
from gatewayd_pop3.transport import Pop3
from gatewayd_smtp.forwarder import Smtp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: What each protocol's server says first.
GREETINGS = {
    "IMAP": (b"* OK [CAPABILITY IMAP4rev1] ready\r\n", b"* BYE too busy\r\n", b"* PREAUTH welcome\r\n"),
    "POP3": (b"+OK POP3 ready <1.2@pop.example.com>\r\n", b"-ERR too busy\r\n"),
    "SMTP": (b"220 mx.example.com ESMTP\r\n", b"220-mx.example.com\r\n220 ready\r\n", b"421 too busy\r\n", b"554 no service\r\n"),
    "HTTP": (b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",),
    "SSH": (b"SSH-2.0-OpenSSH_9.2p1\r\n",),
}
OPEN: dict[str, Callable[[dict[str, Any]], object]] = {
    "IMAP": lambda given: Imap(Imap.Options.model_validate(given), account="reservations").open(),
    "POP3": lambda given: Pop3(Pop3.Options.model_validate(given), account="reservations").open(),
    "SMTP": lambda given: Smtp(Smtp.Options.model_validate(given), name="acme-out").open(),
}
PORTS = {
    "IMAP": "Check that `host` and `port` are those of an IMAP server: usually 993, and 143 for `starttls`.",
    "POP3": "Check that `host` and `port` are those of a POP3 server: usually 995, and 110 for `starttls`.",
    "SMTP": "Check that `host` and `port` are those of an SMTP server: usually 465, and 587 for `starttls`.",
}
#: What each says of each other; mail is fetched by another kind, and nothing else is.
SAYS = {
    **{(ours, theirs): f"It is a server of {theirs}. " for ours in OPEN for theirs in GREETINGS if ours != theirs},
    ("IMAP", "POP3"): "It is a POP3 server: use `kind: pop3`. Else: ",
    ("POP3", "IMAP"): "It is an IMAP server: use `kind: imap`. Else: ",
}


@contextmanager
def greeting(words: bytes, context: ssl.SSLContext | None) -> Iterator[int]:
    """Greet whoever connects, and say nothing else."""

    def serve() -> None:
        with suppress(OSError):
            plain, _ = listener.accept()
            with plain, context.wrap_socket(plain, server_side=True) if context else plain as peer:
                peer.sendall(words)
                while peer.recv(1000):
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def met(ours: str, words: bytes, folder: Path, security: str = "none", authority: trustme.CA | None = None) -> TransientError:
    """Return the error of a plugin that connects to who says these words first."""
    (folder / "secret").write_text("correct horse")
    given = {"host": "127.0.0.1", "username": "anna", "password": Secret("file", str(folder / "secret"))}
    context = None
    if authority:
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        given["ca_file"] = str(folder / "ca.pem")
    if authority and security == "tls":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
    with greeting(words, context) as port, pytest.raises(TransientError) as caught:
        OPEN[ours]({**given, "port": port, "security": security, "insecure": security == "none"})
    assert "expected an " in caught.value.message or "expected a POP3 " in caught.value.message
    return caught.value


@pytest.mark.parametrize(("ours", "theirs"), SAYS)
def test_a_server_of_another_protocol_is_named_with_what_to_write_instead(ours: str, theirs: str, tmp_path: Path) -> None:
    for words in GREETINGS[theirs]:
        error = met(ours, words, tmp_path)
        assert error.advice == SAYS[ours, theirs] + PORTS[ours]
        assert repr(words.split(b"\r")[0].decode()) in error.message


@pytest.mark.parametrize("security", ["tls", "starttls"])
@pytest.mark.parametrize(("ours", "theirs"), SAYS)
def test_it_is_named_behind_tls_and_where_tls_would_be_asked_for(
    ours: str, theirs: str, security: str, tmp_path: Path, authority: trustme.CA
) -> None:
    error = met(ours, GREETINGS[theirs][0], tmp_path, security, authority)
    assert error.advice == SAYS[ours, theirs] + PORTS[ours]


@pytest.mark.parametrize("ours", OPEN)
def test_words_of_no_protocol_name_none(ours: str, tmp_path: Path) -> None:
    assert met(ours, b"hello\r\n", tmp_path).advice == PORTS[ours]
