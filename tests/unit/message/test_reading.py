"""What of a mail is shown to people: html where there is html, in the order of the mail, and bounded."""

from __future__ import annotations

import base64

from gatewayd.message.reading import ShownText
from tests.unit.message.views import view


def alternative(*versions: bytes) -> bytes:
    parts = b"".join(b"--b\r\nContent-Type: " + version + b"\r\n" for version in versions)
    return b"Content-Type: multipart/alternative; boundary=b\r\n\r\n" + parts + b"--b--\r\n"


def shown(raw: bytes) -> list[tuple[str, str]]:
    return [(piece.kind, piece.text.strip()) for piece in view(raw).shown]


PLAIN = b"text/plain\r\n\r\nplain 756"
HTML = b"text/html\r\n\r\n<p>html <b>756</b></p>"


def test_html_is_shown_where_a_mail_has_both_and_the_text_is_the_plain_one() -> None:
    mail = view(alternative(PLAIN, HTML))
    assert mail.text.strip() == "plain 756"
    assert [(piece.kind, piece.text.strip(), piece.cut) for piece in mail.shown] == [("html", "<p>html <b>756</b></p>", False)]


def test_a_version_without_anything_to_see_gives_way_to_another() -> None:
    assert shown(alternative(PLAIN, b"text/html\r\n\r\n<style>b {}</style>\n&nbsp;")) == [("plain", "plain 756")]
    picture = b'text/html\r\n\r\n<IMG src="cid:a">'
    assert shown(alternative(PLAIN, picture)) == [("html", '<IMG src="cid:a">')]
    assert shown(alternative(b"text/plain\r\n\r\n ", b"text/html\r\n\r\n<p>")) == [("html", "<p>")]


def test_parts_are_shown_one_after_another_as_the_mail_has_them() -> None:
    mixed = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    mixed += b"".join(b"--b\r\nContent-Type: " + part + b"\r\n" for part in (HTML, PLAIN)) + b"--b--\r\n"
    assert shown(mixed) == [("html", "<p>html <b>756</b></p>"), ("plain", "plain 756")]
    assert shown(b"Subject: nothing\r\n\r\n") == [("plain", "")]


def test_the_charset_is_the_one_of_the_part_or_of_the_page() -> None:
    assert shown(b"Content-Type: text/html; charset=iso-8859-2\r\n\r\n<p>\xa9\xe1rka")[0][1] == "<p>Šárka"
    page = b"Content-Type: text/html\r\n\r\n<meta charset=windows-1251>\xd0\xe8\xec"
    assert shown(page)[0][1].endswith("Рим")
    # What would be a tag in UTF-7 is none: the bytes that a browser gets are UTF-8.
    assert shown(b"Content-Type: text/html; charset=utf-7\r\n\r\n+ADw-b+AD4-")[0][1] == "<b>"


def test_P8_what_is_shown_is_bounded_and_says_so() -> None:
    page = b"<p>" + b"a" * (2 << 20)
    (piece,) = view(b"Content-Type: text/html\r\n\r\n" + page).shown
    assert (len(piece.text), piece.cut) == (1 << 20, True)
    (piece,) = view(b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(page)).shown
    assert piece.cut
    assert 1 << 19 < len(piece.text) < 1 << 20
    parts = b"--b\r\nContent-Type: text/html\r\n\r\n<p>a</p>\r\n" * 300
    pieces = view(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + parts + b"--b--\r\n").shown
    assert len(pieces) == 101
    assert pieces[-1] == ShownText(kind="plain", text="", cut=True)


def test_a_picture_has_the_id_by_which_the_page_names_it() -> None:
    raw = b"Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<img src=cid:a%40b>\r\n"
    raw += b"--b\r\nContent-Type: image/png\r\nContent-ID: <a@b>\r\n\r\nPNG\r\n--b--\r\n"
    mail = view(raw)
    assert [one.content_id for one in mail.inline] == ["a@b"]
    assert mail.attachments == ()
