"""Raw bytes to a mail's view: right for honest mail, bounded and without exception for any other."""

from __future__ import annotations

import pickle
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewayd.message.mail import BytesSource, Mail, anchor, parse
from gatewayd.message.values import Address
from gatewayd.testing.messages import booking_messages, malformed_messages, person
from tests.unit.message.views import built, check, view

MALFORMED = list(malformed_messages(1))


def header(line: str) -> Mail:
    return view(line.encode("latin-1") + b"\r\n\r\nbody\r\n")


# --- honest mail ------------------------------------------------------------------------------------------------------


def test_an_honest_mail_is_read_in_all_its_fields() -> None:
    raw = built().as_bytes()
    mail = parse(BytesSource(raw), mail_id=7, received_at=datetime(2026, 1, 5, 12, tzinfo=timezone(timedelta(hours=2))))
    check(mail, raw)
    assert (mail.id, mail.message_id, mail.references) == (7, "<1@tours.example>", ("<0@tours.example>", "<x@y>"))
    assert mail.sender == Address(name="Jürgen Müller", email="j@agency.example")
    assert mail.to == (Address(name="", email="a@b.example"), Address(name="Doe, Jane", email="c@d.example"))
    assert mail.cc == (Address(name="Řehoř", email="r@e.example"),)
    assert mail.subject == "Buchung 756 für Größe " + "ä" * 80
    assert mail.sent_at == datetime(2026, 1, 5, 9, tzinfo=UTC)
    assert (mail.received_at, str(mail.received_at)) == (datetime(2026, 1, 5, 10, tzinfo=UTC), "2026-01-05 10:00:00+00:00")
    assert mail.text == "Grüße 756\n"
    assert [(one.name, one.type, one.size) for one in mail.attachments] == [("Größe.pdf", "application/pdf", 4000)]
    assert b"".join(mail.attachment(0)) == b"%PDF" * 1000
    assert dict(mail.headers)["subject"] == mail.subject
    assert [name for name, _ in mail.headers[:3]] == ["message-id", "date", "from"]
    assert mail.faults == ()


def test_text_is_taken_from_html_where_there_is_no_plain_text() -> None:
    assert view(b"Content-Type: text/html; charset=utf-8\r\n\r\n<p>Gr\xc3\xbc\xc3\x9fe<br>756</p>").text == "Grüße\n756"
    rich = b"--b\r\nContent-Type: text/html\r\n\r\n<p>rich\r\n--b--"
    both = b"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\n%s\r\n" + rich
    assert view(both % b"plain").text == "plain"
    assert view(both % b" \r\n").text == "rich"
    assert view(b"Subject: x\r\n\r\n").text == ""


@pytest.mark.parametrize(
    ("charset", "data", "text"),
    [
        ("utf-8", "Grüße €".encode(), "Grüße €"),
        ("iso-8859-2", "žluť".encode("iso-8859-2"), "žluť"),
        ("windows-1252", b"\x84x\x93", "\u201ex\u201c"),
        ("gb2312", "请确认预订".encode("gb2312"), "请确认预订"),
        ("Shift_JIS", "予約".encode("shift_jis"), "予約"),
        ("koi8-r", "Бронь".encode("koi8-r"), "Бронь"),
        ("x-unknown", b"Gr\xfc\xdfe", "Grüße"),
        ("utf-8", b"\xef\xbb\xbfbom\r\nline\rline", "bom\nline\nline"),
    ],
)
def test_text_is_right_in_every_charset(charset: str, data: bytes, text: str) -> None:
    assert view(b"Content-Type: text/plain; charset=%s\r\n\r\n" % charset.encode() + data).text == text


def test_P8_text_is_bounded() -> None:
    assert len(view(b"Subject: x\r\n\r\n" + b"a" * (2 << 20)).text) == 1 << 20
    parts = b"--b\r\n\r\n" + b"a" * 700_000 + b"\r\n"
    assert len(view(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + parts * 3).text) == (1 << 20) + 2


# --- addresses, dates, ids --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("a@b.c", [("", "a@b.c")]),
        ("<a@b.c>", [("", "a@b.c")]),
        ("Ann <a@b.c>", [("Ann", "a@b.c")]),
        ('"Doe, Ann" <a@b.c>', [("Doe, Ann", "a@b.c")]),
        (r'"Ann \"X\" Doe" <a@b.c>', [('Ann "X" Doe', "a@b.c")]),
        ("a@b.c (Ann (the) Doe)", [("Ann (the) Doe", "a@b.c")]),
        ('"victim@x.com" <evil@y>', [("victim@x.com", "evil@y")]),
        ("victim@x.com <evil@y>", [("victim@x.com", "evil@y")]),
        ("=?utf-8?q?victim=40x=2Ecom?= <evil@y>", [("victim@x.com", "evil@y")]),
        ("=?utf-8?q?v_=3Cvictim@x=3E=2C?= <evil@y>", [("v <victim@x>,", "evil@y")]),
        ("=?utf-8?q?=22?= <evil@y>, victim@x", [('"', "evil@y"), ("", "victim@x")]),
        ('"=?utf-8?b?w6Q=?=" <a@b>', [("ä", "a@b")]),
        ("=?utf-8?q?=C3?= =?utf-8?q?=A4?= <a@b>", [("ä", "a@b")]),
        ("(victim@x) evil@y", [("victim@x", "evil@y")]),
        ('"open <evil@y>, b@c', [("open", "evil@y"), ("", "b@c")]),
        ("<@r1,@r2:a@b>", [("", "a@b")]),
        ("group: a@b, c@d;, e@f", [("", "a@b"), ("", "c@d"), ("", "e@f")]),
        ("a@b; c@d", [("", "a@b"), ("", "c@d")]),
        ("<a@b> <c@d>", [("", "a@b"), ("", "c@d")]),
        ("a@b,,, ,c@d,", [("", "a@b"), ("", "c@d")]),
        ('"q q"@x.com', [("", '"q q"@x.com')]),
        ("unlisted-recipients:; (no To-header on input)", []),
        ("undisclosed-recipients:;", []),
        ("MAILER-DAEMON (Mail System)", [("Mail System", "MAILER-DAEMON")]),
        ("John Smith", []),
        ("", []),
        ("<>", []),
        ("J\xfcrgen <j@x>", [("Jürgen", "j@x")]),
        ("\xd0\x9f <p\xc3\xa4@x>", [("П", "pä@x")]),
        ("<a@b", [("", "a@b")]),
        ("a@b>", [("", "a@b")]),
        ("a\r\n <b@c>", [("a", "b@c")]),
    ],
)
def test_addresses_are_read_before_names_are_decoded(value: str, found: list[tuple[str, str]]) -> None:
    assert [(one.name, one.email) for one in header(f"From: {value}").from_] == found


def test_the_first_from_counts_and_every_to() -> None:
    mail = header("From: a@x\r\nFrom: b@x\r\nTo: c@x\r\nTo: d@x, e@x\r\nCc:\r\nCc: f@x")
    assert mail.sender == Address(name="", email="a@x")
    assert [one.email for one in mail.from_] == ["a@x"]
    assert [one.email for one in mail.to] == ["c@x", "d@x", "e@x"]
    assert [one.email for one in mail.cc] == ["f@x"]
    assert header("Subject: x").sender is None


@given(st.text(alphabet='ab@<>"\\(),;: =?q\xe4\r\n', max_size=120))
def test_any_address_list_is_borne(value: str) -> None:
    mail = header(f"Cc: {value}")
    assert all(one.email for one in mail.cc)


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("Mon, 05 Jan 2026 10:00:00 +0100", (2026, 1, 5, 9)),
        ("5 Jan 2026 10:00:00 -0330 (x)", (2026, 1, 5, 13, 30)),
        ("Mon, 05 Jan 2026 10:00:00 -0000", (2026, 1, 5, 10)),
        ("Mon, 05 Jan 2026 10:00:00", (2026, 1, 5, 10)),
        ("Mon, 05 Jan 26 10:00 EST", (2026, 1, 5, 15)),
        ("Mon, 05 Jan 2026 10:00:60 GMT", (2026, 1, 5, 10, 0, 59)),
        ("Mon, 05 Jan 2026 10:00:60 +0000", (2026, 1, 5, 10, 0, 59)),
        ("Mon, 05 Jan 99999 10:00:00 +0000", None),
        ("Mon, 31 Feb 2026 10:00:00 +0000", None),
        ("Fri, 31 Dec 9999 23:59:59 -0100", None),
        ("Sat, 01 Jan 0001 00:00:00 +0100", None),
        ("Mon, 05 Xyz 2026 10:00:00 +0000", None),
        ("Mon, \xb2 Jan 2026 10:00:00 +0000", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_dates_are_in_utc_or_not_there(value: str, moment: tuple[int, int, int] | None) -> None:
    assert header(f"Date: {value}").sent_at == (datetime(*moment, tzinfo=UTC) if moment else None)


@given(st.text(alphabet="MonJa, 0123456789:+-().\xb2", max_size=60))
def test_any_date_is_borne(value: str) -> None:
    check(header(f"Date: {value}"), b"Date: " + value.encode("latin-1") + b"\r\n\r\nbody\r\n")


def test_a_moment_of_arrival_is_made_utc() -> None:
    source = BytesSource(b"Subject: x\r\n\r\n")
    assert parse(source, received_at=datetime(2026, 1, 5)).received_at == datetime(2026, 1, 5, tzinfo=UTC)  # noqa: DTZ001  a server's slip
    assert parse(source, received_at=datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))).received_at is None


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("Message-ID: <[0123]@microsoft.example>", "<[0123]@microsoft.example>"),
        ("Message-ID:\r\n <a@b>", "<a@b>"),
        ("Message-ID: <a@b> (comment)", "<a@b>"),
        ("Message-ID: no-brackets@x", "<no-brackets@x>"),
        ("Message-ID: no-at", "no-at"),
        ("Message-ID: <a b@c>", "<ab@c>"),
        ("Message-ID: <\0@x>", "<\ufffd@x>"),
        ("Message-ID:", ""),
        ("X: y", ""),
    ],
)
def test_message_ids_stand_as_they_are(line: str, found: str) -> None:
    assert header(line).message_id == found


def test_references_are_listed_once_oldest_first() -> None:
    mail = header("References: <a@x><b@x>,<c@x>\r\n <a@x> junk <d\r\nIn-Reply-To: your mail <e@x> of Monday")
    assert mail.references == ("<a@x>", "<b@x>", "<c@x>", "<e@x>")


# --- anchor -----------------------------------------------------------------------------------------------------------


FOUR = [
    b"Message-ID: <1@x>",
    b"Date: Mon, 05 Jan 2026 10:00:00 +0100",
    b"From: J\xfcrgen\r\n\t<a@b>",
    b"Subject: a\r\n  b  c =?utf-8?q?d?=",
]


def test_the_anchor_survives_what_servers_do_to_headers() -> None:
    known = anchor(b"\r\n".join(FOUR))
    assert len(known) == 32
    assert anchor(b"\n".join(reversed(FOUR)) + b"\n\nbody\n") == known
    assert (
        anchor(b"X-Added: 1\r\n" + b"\r\n".join(FOUR).replace(b"\r\n\t", b" ") + b"\r\nX: y\r\n\r\nSubject: not this\r\n") == known
    )
    assert anchor(b"\r\n".join([*FOUR, b"Subject: a second one"]) + b"\r\n\r\n") == known
    assert view(b"\r\n".join(FOUR) + b"\r\n\r\nbody").anchor == known


def test_different_mail_has_different_anchors() -> None:
    known = {anchor(b"\r\n".join(FOUR[:number] + FOUR[number + 1 :])) for number in range(5)}
    assert len(known) == 5
    assert anchor(b"From: a\r\nSubject: b") != anchor(b"From: b\r\nSubject: a")
    assert anchor(b"X: y\r\n\r\nFrom: a@b\r\n") == anchor(b"") == view(b"").anchor == ""


def test_the_anchor_of_some_headers_is_that_of_the_whole_message() -> None:
    for raw in booking_messages(50, 5):
        block = raw.partition(b"\r\n\r\n")[0].replace(b"\r\n\t", b"\0\t").replace(b"\r\n ", b"\0 ").split(b"\r\n")
        names = (b"from:", b"subject:", b"date:", b"message-id:")
        fields = [line.replace(b"\0", b"\r\n") for line in block if line.lower().startswith(names)]
        assert anchor(b"\r\n".join(fields) + b"\r\n\r\n") == view(raw).anchor


# --- mail that no parser likes ----------------------------------------------------------------------------------------


def test_there_are_hundreds_of_malformed_messages_and_they_are_repeatable() -> None:
    assert len(MALFORMED) >= 300
    assert len({name for name, _ in MALFORMED}) == len({raw for _, raw in MALFORMED}) == len(MALFORMED)
    assert list(malformed_messages(1)) == MALFORMED
    assert list(malformed_messages(2)) != MALFORMED


@pytest.mark.parametrize("raw", [pytest.param(raw, id=name) for name, raw in MALFORMED])
def test_P4_a_malformed_message_is_read_in_time_without_an_exception(raw: bytes) -> None:
    started = time.process_time()
    mail = view(raw)
    assert time.process_time() - started < 2
    check(mail, raw)
    assert anchor(raw) == mail.anchor


def test_sloppiness_is_no_fault() -> None:
    prefixes = ("word", "address", "id", "date", "type", "name", "body", "charset")
    assert [name for name, raw in MALFORMED if name.startswith(prefixes) and view(raw).faults] == []


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        (b"", "it has no headers"),
        (b"\r\nSubject: too late\r\n", "it has no headers"),
        (b"only text\r\n\r\nand more", "it has no headers"),
        (b"X: y\r\n" * 1001, "it has more than 1000 headers"),
        (b"X: " + b"y" * 16_385, "its header 'x' is longer than 16384 bytes"),
        (b"X: " + b"y" * (1 << 20), f"its headers are longer than {1 << 20} bytes"),
        (b"Subject: " + b"y" * 4097, "its subject is longer than 4096 characters"),
        (b"To: " + b"a@b, " * 1001, "its header To has more than 1000 addresses"),
        (
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\nContent-Type: a/b\r\n\r\n\r\n" * 501,
            "it has more than 500 attachments",
        ),
    ],
)
def test_P8_what_exceeds_a_bound_is_named(raw: bytes, fault: str) -> None:
    assert fault in view(raw).faults


def test_a_long_to_is_read_whole_and_is_no_fault() -> None:
    mail = view(b"To: " + b",\r\n ".join(b"person%d@long-name.example" % number for number in range(1000)))
    assert (len(mail.to), mail.faults) == (1000, ())


def test_a_body_without_headers_is_its_text() -> None:
    assert view(b"only text 756\r\n\r\nand more").text == "only text 756\n\nand more"


def test_headers_are_read_whatever_their_line_ends() -> None:
    for ends in (b"\r\n", b"\n", b"\r"):
        mail = view(b"Subject: a 756\r\n\tb\r\nTo : x@y\r\nno header\r\n: none\r\nA B: none\r\n\r\nbody\r\n".replace(b"\r\n", ends))
        assert mail.headers == (("subject", "a 756 b"), ("to", "x@y"))
        assert mail.text == "body\n"


def test_an_mbox_line_is_no_header() -> None:
    assert view(b"From joe@x Mon Jan  5 10:00:00 2026\nFrom: a@b\n\nx").headers == (("from", "a@b"),)


def test_a_defect_of_the_parser_leaves_an_empty_view_with_its_fault() -> None:
    class Odd(BytesSource):
        def read(self, offset: int, size: int) -> bytes:
            raise ValueError(f"odd \0 {offset} {size}")

    source = Odd(b"Subject: x\r\n\r\n")
    mail = parse(source, mail_id=3)
    assert (mail.id, mail.source, mail.headers) == (3, source, ())
    assert mail.faults == ("it can't be read: ValueError: odd \ufffd 0 14",)


@settings(max_examples=300)
@given(st.binary(max_size=400))
def test_any_bytes_make_a_view(raw: bytes) -> None:
    check(view(raw), raw)


@settings(max_examples=300)
@given(
    st.integers(0, 39),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 20), st.binary(max_size=12)), min_size=1, max_size=12),
)
def test_any_damage_to_honest_mail_makes_a_view(number: int, damage: list[tuple[int, int, bytes]]) -> None:
    raw = bytearray(HONEST[number])
    for at, length, put in damage:
        raw[at : at + length] = put
    check(view(bytes(raw)), bytes(raw))


# --- the shared messages ----------------------------------------------------------------------------------------------


HONEST = list(booking_messages(40, 9))


def test_shared_messages_are_honest_unique_and_repeatable() -> None:
    messages = list(booking_messages(400, 3))
    assert messages == list(booking_messages(400, 3))
    mails = [view(raw) for raw in messages]
    assert len({mail.message_id for mail in mails}) == len({mail.anchor for mail in mails}) == 400
    assert all(not mail.faults and mail.sender and mail.sent_at and mail.text.strip() for mail in mails)
    assert all(b"\n" not in raw.replace(b"\r\n", b"") for raw in messages)
    assert "\ufffd" not in "".join(mail.subject + mail.text for mail in mails)
    assert {one.email for mail in mails for one in mail.from_} & {person(number)[1] for number in range(200)}
    assert 0.05 < sum(bool(mail.attachments) for mail in mails) / 400 < 0.15
    assert 1500 < sum(map(len, messages)) / 400 < 3000


def test_shared_messages_are_read_as_the_standard_library_reads_them() -> None:
    for raw in booking_messages(100, 4):
        theirs = message_from_bytes(raw)
        leaves = [one for one in theirs.walk() if not one.is_multipart()]
        mail = view(raw)
        plain = leaves[0].get_payload(decode=True)
        assert isinstance(plain, bytes)
        assert mail.text == plain.decode(str(leaves[0].get_content_charset())).replace("\r\n", "\n")
        files = [one.get_payload(decode=True) for one in leaves if one.get_filename()]
        assert [b"".join(mail.attachment(number)) for number in range(len(mail.attachments))] == files


def test_heavy_messages_weigh_what_the_benchmark_says() -> None:
    sizes = [len(raw) for raw in booking_messages(300, 2, heavy=True)]
    assert 15_000 < sum(sizes) / 300 < 45_000


def test_a_view_pickles_small() -> None:
    mail = replace(view(built().as_bytes()), source=BytesSource(b""))
    assert len(pickle.dumps(mail)) < 4000
