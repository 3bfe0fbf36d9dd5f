"""Answers that Graph does not give, but whatever stands before it may: none of them harms mail, memory or another account."""

from __future__ import annotations

import gzip
import json
import ssl
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from gatewayd import Action, AuthError, Came, Failed, GatewaydError, Listed, PermanentError, Spool, TransientError
from gatewayd_office365.cursor import DeltaCursor
from gatewayd_office365.options import Office365Options
from gatewayd_office365.outgoing_mail import OutgoingFile, PutOff
from gatewayd_office365.transport import Office365
from gatewayd_office365.upload import Uploader
from tests.patience import LONG
from tests.plugins.graph_site import secret_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from gatewayd import Fetched
    from gatewayd_office365.transport import Office365Session

KEY = Listed("AAkALg1=", None)
MAIL = b"Subject: x\r\n\r\nbody\r\n"


class Odd:
    """A server that gives tokens, and one answer to whatever else is asked."""

    def __init__(self) -> None:
        self.status = 200
        self.body = b""
        self.headers: Mapping[str, str] = {}
        #: How many bytes of answers were taken.
        self.sent = 0
        self.asked: list[str] = []
        #: The field Date of answers; empty for the time as it is.
        self.date = ""

    def say(self, status: int, body: bytes | Mapping[str, object], **headers: str) -> None:
        self.status, self.headers = status, {name.replace("_", "-"): value for name, value in headers.items()}
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()


def _handler(odd: Odd) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = LONG

        def date_time_string(self, timestamp: float | None = None) -> str:
            return odd.date or super().date_time_string(timestamp)

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            token = self.path.endswith("/token")
            body = b'{"access_token": "t0ken", "expires_in": 3599}' if token else odd.body
            self.send_response(200 if token else odd.status)
            for name, value in {} if token else odd.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if token:
                self.wfile.write(body)
                return
            odd.asked.append(f"{self.command} {self.path}")
            for start in range(0, len(body), 1 << 16):
                self.wfile.write(body[start : start + (1 << 16)])
                odd.sent += 1 << 16

        do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815  as the base class has it

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Clients hang up here."""


@pytest.fixture
def odd() -> Odd:
    return Odd()


@pytest.fixture
def session(odd: Odd, tmp_path: Path) -> Iterator[Office365Session]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with _Server(("127.0.0.1", 0), _handler(odd)) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        address = f"https://localhost:{server.server_port}"
        options = {
            "mailbox": "box@acme.example",
            "tenant": "acme.example",
            "client": f"{server.server_port:08d}-2222-3333-4444-555555555555",
            "secret": secret_file(tmp_path, "s3cret"),
            "authority": address,
            "graph": address,
            "ca_file": str(tmp_path / "ca.pem"),
        }
        try:
            yield Office365(Office365Options.model_validate(options), account="box").open()
        finally:
            server.shutdown()
            thread.join()


def fetched(session: Office365Session, folder: Path) -> Fetched:
    with Spool(folder / "spool") as spool:
        (one,) = session.fetch("INBOX", [KEY], spool)
        return one


def error_of(code: str) -> Mapping[str, object]:
    return {"error": {"code": code, "message": "m"}}


def test_a_message_comes(odd: Odd, session: Office365Session, tmp_path: Path) -> None:
    odd.say(200, MAIL)
    assert isinstance(fetched(session, tmp_path), Came)
    assert dict(session.headers("INBOX", [KEY.key])) == {KEY.key: b"Subject: x\r\n\r\n"}
    assert odd.asked == ["GET /users/box%40acme.example/messages/AAkALg1%3D/$value"] * 2


@pytest.mark.parametrize(("status", "headers"), [(206, {}), (200, {"Content_Encoding": "gzip"})])
def test_P5_what_is_not_the_message_as_it_is_is_none(
    odd: Odd, session: Office365Session, tmp_path: Path, status: int, headers: dict[str, str]
) -> None:
    odd.say(status, gzip.compress(MAIL) if headers else MAIL, **headers)
    with pytest.raises(TransientError, match=r"a message: .*\(HTTP 20[06]\)") as caught:
        fetched(session, tmp_path)
    assert caught.value.advice
    with pytest.raises(TransientError):
        dict(session.headers("INBOX", [KEY.key]))


def test_P8_of_a_refusal_no_more_is_taken_than_it_may_have(odd: Odd, session: Office365Session) -> None:
    odd.say(404, b"x" * (40 << 20))
    assert dict(session.headers("INBOX", [KEY.key])) == {}
    # What the system's buffers hold comes on top.
    assert odd.sent < 30 << 20


def test_a_404_that_is_not_of_Exchange_is_no_message_that_is_gone(odd: Odd, session: Office365Session, tmp_path: Path) -> None:
    """Else mail would be taken for gone, or for moved and deleted, because a proxy has a bad day."""
    odd.say(404, b"<html>not here</html>")
    assert isinstance(fetched(session, tmp_path), Failed)
    with pytest.raises(PermanentError):
        session.settle("INBOX", [KEY.key], Action(do="seen"))


def test_nothing_in_place_of_a_message_is_no_message(odd: Odd, session: Office365Session, tmp_path: Path) -> None:
    odd.say(200, b"")
    assert isinstance(fetched(session, tmp_path), Failed)


def test_a_message_without_headers_has_none_of_its_body(odd: Odd, session: Office365Session) -> None:
    odd.say(200, b"\r\nbody\r\n\r\nmore")
    assert not dict(session.headers("INBOX", [KEY.key]))[KEY.key].strip()


def test_P8_of_headers_without_an_end_no_more_is_taken_than_they_may_have(odd: Odd, session: Office365Session) -> None:
    odd.say(200, b"X: " + b"x" * (16 << 20))
    assert len(dict(session.headers("INBOX", [KEY.key]))[KEY.key]) == 1 << 20
    assert session.came < 4 << 20


def test_another_message_than_was_asked_for_is_not_the_one_that_was(odd: Odd, session: Office365Session) -> None:
    odd.say(200, {"id": KEY.key, "parentFolderId": KEY.key})
    assert [one.key for one in session.look_up("INBOX", [KEY.key])] == [KEY.key]
    odd.say(200, {"id": "AAkOther=", "parentFolderId": KEY.key})
    assert list(session.look_up("INBOX", [KEY.key])) == []


def test_a_page_that_leads_to_itself_is_not_followed(odd: Odd, session: Office365Session) -> None:
    before = DeltaCursor(mailbox=session._options.mailbox, folder="f", link="/x?$skiptoken=1", backlog_until=1_800_000_000)
    odd.say(200, {"value": [{"id": "a"}], "@odata.nextLink": f"{session._options.graph}/x?$skiptoken=1"})
    with pytest.raises(TransientError, match="lead nowhere"):
        list(session.listing("INBOX", str(before)))
    assert len(odd.asked) == 1


def test_what_is_backlog_is_decided_by_the_clock_of_the_server(odd: Odd, session: Office365Session) -> None:
    odd.date = "Thu, 01 Jan 2026 10:00:00 GMT"
    values = [{"id": f"at{hour}", "receivedDateTime": f"2026-01-01T{hour:02}:00:00Z"} for hour in (9, 11)]
    odd.say(200, {"id": "f", "value": values, "@odata.deltaLink": f"{session._options.graph}/x?$deltatoken=2"})
    pages = session.listing("INBOX", None)
    assert [([one.key for one in page.keys], page.backlog) for page in pages] == [(["at9"], True), (["at11"], False)]


@pytest.mark.parametrize("backlog_until", [0, 1_800_000_000])
def test_a_first_listing_whose_last_page_is_empty_comes_to_its_end(odd: Odd, session: Office365Session, backlog_until: int) -> None:
    """Else each visit would read that page again, and never hear of new mail."""
    mailbox, now = session._options.mailbox, int(time.time())
    before = DeltaCursor(mailbox=mailbox, folder="f", link="/x?$skiptoken=1", backlog_until=backlog_until, compared=now)
    odd.say(200, {"value": [], "@odata.deltaLink": f"{session._options.graph}/x?$deltatoken=2"})
    (page,) = session.listing("INBOX", str(before))
    assert page.keys == ()
    after = DeltaCursor.parse(page.cursor)
    assert after == (replace(before, link="/x?$deltatoken=2", backlog_until=0) if backlog_until else before)


@pytest.mark.parametrize("code", ["ErrorInvalidUser", "MailboxNotEnabledForRESTAPI"])
def test_a_mailbox_that_goes_away_is_no_fault_of_its_messages(
    odd: Odd, session: Office365Session, tmp_path: Path, code: str
) -> None:
    odd.say(404, error_of(code))
    with pytest.raises(AuthError):
        fetched(session, tmp_path)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"[" * 100_000),
        (200, b"\xff\xfe{"),
        (200, b'{"value": 5, "@odata.nextLink": 7}'),
        (200, b'{"value": [1, null, {"id": 5}, {"id": "a", "receivedDateTime": 1e999}], "@odata.deltaLink": "javascript:x"}'),
        (204, b""),
        (301, b""),
        (304, b""),
        (400, b"{" * 100_000),
        (403, b'{"error": "no"}'),
        (418, b'{"error": {"code": ["x"], "innerError": {"request-id": 5}}}'),
    ],
)
def test_P4_whatever_comes_in_place_of_a_listing_is_one_of_the_five_errors(
    odd: Odd, session: Office365Session, status: int, body: bytes
) -> None:
    odd.say(status, body, **({"Location": "https://elsewhere.example/"} if status == 301 else {}))
    with pytest.raises(GatewaydError) as caught:
        list(session.listing("INBOX", None))
    assert caught.value.advice
    assert "t0ken" not in f"{caught.value!r}{caught.value.__cause__!r}"
    assert len(odd.asked) == 1


@pytest.mark.parametrize(
    "url", ["", "http://upload.example/a", "https://[bad", "https://u:pw@upload.example/a", "https://upload.example:99999/a"]
)
def test_an_upload_without_a_sound_address_is_put_off(tmp_path: Path, url: str) -> None:
    options = Office365Options.model_validate(
        {
            "mailbox": "box@acme.example",
            "tenant": "acme.example",
            "client": "11111111-2222-3333-4444-555555555555",
            "secret": secret_file(tmp_path, "s3cret"),
        }
    )
    file = OutgoingFile(name="a", type="text/plain", size=3, pieces=lambda: iter([b"abc"]))
    with pytest.raises(PutOff, match="no https address"):
        Uploader(options).upload(url, file)
