"""The forwarder ``webhook`` against a real HTTPS server: what is posted, how it is signed, what an answer means."""

from __future__ import annotations

import base64
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from gatewayd import AuthError, Receipt, Secret
from gatewayd.testing.contracts.forwarder import ForwarderContract, Goal
from gatewayd_webhook.answer import WebhookAnswer
from gatewayd_webhook.signature import Keys, webhook_id
from tests.plugins.webhook_site import OLD_SECRET, RAW, SECRET, Receiver, old_secret, parcel, receiver, verified, webhook

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatewayd import Parcel
    from gatewayd_webhook.forwarder import Webhook


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Receiver]:
    with receiver(tmp_path) as site:
        yield site


def post(tmp_path: Path, site: Receiver, *parcels: Parcel, path: str = "/mail", **fields: Any) -> list[Receipt]:
    given = {"ca_file": str(site.ca_file)} if site.scheme == "https" else {}
    with closing(webhook(tmp_path, site.url(path), **given, **fields).open()) as courier:
        return list(courier.deliver(parcels or [parcel()]))


def words(receipt: Receipt) -> tuple[str, str]:
    (one,) = receipt.recipients
    return one.state, one.words


# --- what is posted ---------------------------------------------------------------------------------------------------


def test_a_filing_is_posted_as_it_is_listed(tmp_path: Path, site: Receiver) -> None:
    (receipt,) = post(tmp_path, site, path="/mail?from=gatewayd")
    assert (receipt.id, words(receipt), receipt.retry_after) == (1, ("delivered", "204 No Content"), None)
    assert receipt.recipients[0].address == "acme/crm"
    (request,) = site.requests
    assert request.path == "/mail?from=gatewayd"
    assert request.headers.get_all("Host") == [f"localhost:{site.port}"]
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["User-Agent"] == "gatewayd"
    assert request.event == {
        "type": "mail.filed",
        "timestamp": "2026-11-22T11:30:00Z",
        "data": {
            "id": 701,
            "operator": "acme",
            "account": "reservations",
            "folder": "INBOX",
            "key": "1:7",
            "message_id": "<1@example.com>",
            "from": "anna@example.com",
            "from_name": "Anna Novák",
            "to": ["reservations@example.com"],
            "subject": "Booking 756 \u202e\u2028\x07 \ud800",
            "sent_at": None,
            "received_at": "2026-11-22T10:00:00Z",
            "size": len(RAW),
            "direction": "in",
            "unread": True,
            "attachments": [{"name": "voucher.pdf", "type": "application/pdf", "size": 3}],
            "links": [
                {"kind": "reservation", "id": "R9", "label": "B-756 Rome", "by": "reservations", "because": "756 in the subject"}
            ],
            "rivals": [{"kind": "customer", "id": "C1", "label": "Nord GmbH", "because": "anna@example.com"}],
            "errors": [{"by": "vouchers", "error": "ValueError"}],
            "queue": "front-office",
            "text": None,
            "raw": None,
            "raw_url": None,
            "delivery": 1,
            "because": "rule 2",
        },
    }


def test_P5_text_raw_bytes_and_a_link_go_along_where_asked_for(tmp_path: Path, site: Receiver) -> None:
    asked: dict[str, Any] = {"text": True, "raw": "inline", "raw_url": "https://mail.example.com/{operator}/{id}"}
    post(tmp_path, site, **asked)
    data = site.requests[0].event["data"]
    assert base64.b64decode(data["raw"]) == RAW
    assert data["text"].strip() == "Dobrý den 🌍"
    assert data["raw_url"] == "https://mail.example.com/acme/701"


def test_P8_a_mail_that_is_too_large_goes_without_its_raw_bytes_and_a_long_text_is_cut(tmp_path: Path, site: Receiver) -> None:
    large = parcel(raw=b"Subject: large\r\n\r\n" + b"word " * 300_000)
    post(tmp_path, site, large, raw="inline", text=True)
    data = site.requests[0].event["data"]
    assert (data["raw"], len(data["text"])) == (None, 100_000)
    post(tmp_path, site, large, raw="inline", inline_bytes=2_000_000)
    assert base64.b64decode(site.requests[1].event["data"]["raw"]) == large.source.read(0, large.source.size)


# --- how it is signed -------------------------------------------------------------------------------------------------


def test_the_signature_is_the_specifications_own(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    keys = Keys(Secret("file", str(tmp_path / "secret")))
    # The vector that the specification's libraries are tested with.
    signed = keys.signatures("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_request_is_signed_at_each_try_under_one_id(tmp_path: Path, site: Receiver) -> None:
    post(tmp_path, site, parcel(1), parcel(2))
    post(tmp_path, site, parcel(1))
    first, second, repeat = site.requests
    assert all(verified(one.headers, one.body, SECRET) for one in site.requests)
    assert not any(verified(one.headers, one.body, OLD_SECRET) for one in site.requests)
    assert not verified(first.headers, first.body + b" ", SECRET)
    assert first.headers["webhook-id"] == repeat.headers["webhook-id"] == webhook_id(parcel(1).message_id)
    assert first.headers["webhook-id"] != second.headers["webhook-id"]
    assert "." not in first.headers["webhook-id"]
    assert abs(int(first.headers["webhook-timestamp"]) - time.time()) < 60
    assert first.body == repeat.body


def test_with_a_previous_secret_both_sign(tmp_path: Path, site: Receiver) -> None:
    post(tmp_path, site, previous_secret=old_secret(tmp_path))
    (request,) = site.requests
    assert verified(request.headers, request.body, SECRET)
    assert verified(request.headers, request.body, OLD_SECRET)
    assert len(request.headers["webhook-signature"].split(" ")) == 2


@pytest.mark.parametrize(
    "text",
    [
        "hunter2",
        "whsec_",
        "whsec_not base64!",
        "whsec_" + "QUJD" * 7,
        "whsec_" + "QUJD" * 22,
        "QUJD" * 8,
        "whsec_" + "QUJD" * 8 + "ü",
    ],
)
def test_P9_a_secret_that_is_none_is_refused_without_being_named(tmp_path: Path, site: Receiver, text: str) -> None:
    forwarder = webhook(tmp_path, site.url(), ca_file=str(site.ca_file))
    (tmp_path / "secret").write_text(text)
    with pytest.raises(AuthError, match="is no secret of a webhook: expected whsec_ and base64 of 24 to 64 bytes") as caught:
        forwarder.open()
    assert text == "whsec_" or text not in f"{caught.value!r} {caught.value.advice}"
    assert site.connections == 0


@pytest.mark.parametrize("size", [24, 64])
def test_the_shortest_and_the_longest_secret_sign(tmp_path: Path, site: Receiver, size: int) -> None:
    forwarder = webhook(tmp_path, site.url(), ca_file=str(site.ca_file))
    secret = "whsec_" + base64.b64encode(bytes(size)).decode()
    (tmp_path / "secret").write_text(secret)
    with closing(forwarder.open()) as courier:
        list(courier.deliver([parcel()]))
    assert verified(site.requests[0].headers, site.requests[0].body, secret)


def test_a_missing_secret_is_an_auth_error(tmp_path: Path, site: Receiver) -> None:
    with pytest.raises(AuthError, match="can't be read"):
        webhook(tmp_path, site.url(), previous_secret=Secret("file", str(tmp_path / "none"))).open()


# --- what an answer means ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (200, "delivered"), (202, "delivered"), (299, "delivered"),
        (301, "refused"), (302, "refused"), (304, "refused"), (307, "refused"),
        (400, "refused"), (401, "refused"), (404, "refused"), (410, "refused"), (413, "refused"), (422, "refused"),
        (408, "waiting"), (425, "waiting"), (429, "waiting"),
        (500, "waiting"), (501, "waiting"), (502, "waiting"), (503, "waiting"), (599, "waiting"),
    ],
)  # fmt: skip
def test_P7_the_status_decides(tmp_path: Path, site: Receiver, status: int, state: str) -> None:
    body = b"" if status == 304 else b"because\r\n\x1b[31mof\x00 that" + b"." * 1000
    site.answers["/mail"] = (status, {}, body)
    (receipt,) = post(tmp_path, site)
    assert words(receipt)[0] == state
    assert words(receipt)[1].startswith(str(status))
    assert words(receipt)[1].isprintable()
    assert len(words(receipt)[1]) < 500
    assert ("because [31mof that..." in words(receipt)[1]) == (status >= 400)
    assert len(site.requests) == 1


def test_a_redirect_is_not_followed_and_says_where_to(tmp_path: Path, site: Receiver) -> None:
    site.answers["/mail"] = (308, {"Location": site.url("/new?token=hunter2")}, b"")
    (receipt,) = post(tmp_path, site)
    assert words(receipt) == ("refused", f"308 redirects to {site.url('/new')}, which is not followed: correct `url`")
    site.answers["/mail"] = (302, {}, b"")
    assert "302 redirects, which is not followed" in words(post(tmp_path, site)[0])[1]
    assert [request.path for request in site.requests] == ["/mail", "/mail"]


def test_gone_says_what_to_do(tmp_path: Path, site: Receiver) -> None:
    site.answers["/mail"] = (410, {}, b"")
    assert words(post(tmp_path, site)[0]) == ("refused", "410 Gone; the receiver wants no more: take the target out of the rules")


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        ("in ten minutes", 600),
        ("Fri, 01 May 2026 00:00:00 GMT", 0),
        ("99999999999", 86400),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86400),
    ],
)
def test_a_server_that_asks_to_wait_is_heard(tmp_path: Path, site: Receiver, status: int, said: str, seconds: float) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=600), usegmt=True)
    site.answers["/mail"] = (status, {"Retry-After": date if said == "in ten minutes" else said}, b"")
    (receipt,) = post(tmp_path, site)
    assert receipt.retry_after == pytest.approx(seconds, abs=60 if seconds == 600 else 0)


def test_a_date_is_in_gmt_wherever_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        said = f"{datetime.now(UTC) + timedelta(seconds=600):%a %b %d %H:%M:%S %Y}"
        assert WebhookAnswer(status=503, reason="", retry_after=said).patience == pytest.approx(600, abs=60)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("said", ["", "soon", "-5", "1.5", "Fri, 99 Zzz 2026 00:00:00 GMT", "9" * 400])
def test_a_word_that_is_no_time_is_none(tmp_path: Path, site: Receiver, said: str) -> None:
    site.answers["/mail"] = (500, {"Retry-After": said}, b"")
    assert post(tmp_path, site)[0].retry_after is None


def test_what_is_refused_or_delivered_is_not_to_be_tried_again(tmp_path: Path, site: Receiver) -> None:
    for status in (200, 400):
        site.answers["/mail"] = (status, {"Retry-After": "5"}, b"")
        assert post(tmp_path, site)[0].retry_after is None


def test_a_server_that_asks_to_wait_gets_nothing_more(tmp_path: Path, site: Receiver) -> None:
    waits: list[tuple[int, dict[str, str], float | None]]
    waits = [(429, {"Retry-After": "7"}, 7.0), (429, {}, None), (503, {"Retry-After": "7"}, 7.0)]
    for status, said, seconds in waits:
        site.requests.clear()
        site.answers["/mail"] = (status, said, b"")
        with closing(webhook(tmp_path, site.url(), ca_file=str(site.ca_file)).open()) as courier:
            first, *behind = courier.deliver([parcel(1), parcel(2), parcel(3)])
            assert (len(behind), len(site.requests)) == (2, 1)
            for receipt in behind:
                assert words(receipt) == ("waiting", f"not sent, since the server asked to wait: {words(first)[1]}")
            assert {receipt.retry_after for receipt in (first, *behind)} == {seconds}
            # It was asked to wait then, and is asked again when its time has come.
            site.answers.clear()
            assert [words(one)[0] for one in courier.deliver([parcel(1), parcel(2)])] == ["delivered"] * 2


def test_P4_a_parcel_that_fails_keeps_no_other_back(tmp_path: Path, site: Receiver) -> None:
    for status in (500, 404):
        site.answers["/mail"] = (status, {}, b"no")
        assert len(post(tmp_path, site, parcel(1), parcel(2), parcel(3))) == 3
    assert len(site.requests) == 6


def test_P9_an_answer_that_repeats_the_secret_is_not_shown(tmp_path: Path, site: Receiver) -> None:
    encoded = base64.b64encode(SECRET[6:].encode())
    shown = (SECRET.encode(), SECRET[6:].encode(), quote(SECRET[6:], safe="").encode(), encoded, SECRET[6:].encode().hex().encode())
    for where in (*(b"expected the key " + form for form in shown), b"." * 2000 + SECRET[6:].encode()):
        site.answers["/mail"] = (401, {}, where)
        assert words(post(tmp_path, site)[0]) == ("refused", "401; the answer is not shown: it repeats the secret")
    site.answers["/mail"] = (301, {"Location": f"https://example.com/{SECRET}"}, b"")
    assert SECRET[6:] not in words(post(tmp_path, site)[0])[1]


def test_P9_no_repr_gives_the_secret_away(tmp_path: Path, site: Receiver) -> None:
    forwarder = webhook(tmp_path, site.url(), ca_file=str(site.ca_file))
    with closing(forwarder.open()) as courier:
        shown = " ".join(map(repr, (forwarder, forwarder.options, courier, *vars(courier).values())))
    assert SECRET[6:] not in shown


# --- the connection ---------------------------------------------------------------------------------------------------


def test_parcels_go_over_one_connection(tmp_path: Path, site: Receiver) -> None:
    site.answers["/mail"] = (200, {}, b"x" * 20_000)
    assert len(post(tmp_path, site, *map(parcel, range(5)))) == 5
    assert {request.connection for request in site.requests} == {1}


@pytest.mark.parametrize("way", ["hang_up", "hang_up_silently"])
def test_a_connection_that_ended_between_two_requests_is_made_anew(tmp_path: Path, site: Receiver, way: str) -> None:
    setattr(site, way, True)
    with closing(webhook(tmp_path, site.url(), ca_file=str(site.ca_file)).open()) as courier:
        for number in (1, 2, 3):
            (receipt,) = courier.deliver([parcel(number)])
            assert words(receipt)[0] == "delivered"
            # Time for the end of the stream to come.
            time.sleep(0.05)
    assert [request.connection for request in site.requests] == [1, 2, 3]


def test_without_tls_where_that_is_spelled_out(tmp_path: Path) -> None:
    with receiver(tmp_path, tls=False) as site:
        assert [words(one)[0] for one in post(tmp_path, site, parcel(1), parcel(2))] == ["delivered"] * 2
        site.hang_up_silently = True
        assert len(post(tmp_path, site, parcel(1))) == 1


# --- what every forwarder promises ------------------------------------------------------------------------------------


class _Goal(Goal):
    def __init__(self, tmp_path: Path, site: Receiver) -> None:
        self._tmp_path = tmp_path
        self._site = site

    def forwarder(self) -> Webhook:
        return webhook(self._tmp_path, self._site.url(), ca_file=str(self._site.ca_file))

    def taken(self) -> list[str]:
        return [request.headers["webhook-id"] for request in self._site.requests]

    def fall_silent(self) -> None:
        self._site.talks.clear()

    def go_away(self) -> None:
        self._site.go_away()


class TestContract(ForwarderContract):
    @pytest.fixture
    def goal(self, tmp_path: Path, site: Receiver) -> Goal:
        return _Goal(tmp_path, site)
