# ruff: noqa: RUF001, ISC004  characters that look alike are what it is about
"""Charsets: every label of the standard, escapes and their errors, and names that lie."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.message.charsets import codec, to_text
from gatewayd.message.encoded_words import header_text
from tests.unit.linear import assert_linear

# --- every label of the WHATWG Encoding Standard ----------------------------------------------------------------------

#: The encodings of the standard: bytes that tell them from each other, what they say, and all labels.
STANDARD = [
    ("c381", "Á", "unicode-1-1-utf-8 utf-8 utf8 unicode11utf8 unicode20utf8 x-unicode20utf8"),
    ("80f0", "АЁ", "866 cp866 csibm866 ibm866"),
    ("a3d8", "ŁŘ", "csisolatin2 iso-8859-2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 l2 latin2"),
    ("a1d5", "ĦĠ", "csisolatin3 iso-8859-3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 l3 latin3"),
    ("a2d1", "ĸŅ", "csisolatin4 iso-8859-4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 l4 latin4"),
    ("b0a1", "АЁ", "csisolatincyrillic cyrillic iso-8859-5 iso-ir-144 iso8859-5 iso88595 iso_8859-5 iso_8859-5:1988"),
    (
        "c7c8",
        "اب",
        "arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6 iso-8859-6-e iso-8859-6-i iso-ir-127 iso8859-6 "
        "iso88596 iso_8859-6 iso_8859-6:1987",
    ),
    (
        "c1d9",
        "ΑΩ",
        "csisolatingreek ecma-118 elot_928 greek greek8 iso-8859-7 iso-ir-126 iso8859-7 iso88597 iso_8859-7 iso_8859-7:1987 "
        "sun_eu_greek",
    ),
    (
        "e0aa",
        "א×",
        "csiso88598e csisolatinhebrew hebrew iso-8859-8 iso-8859-8-e iso-ir-138 iso8859-8 iso88598 iso_8859-8 iso_8859-8:1988 visual "
        "csiso88598i iso-8859-8-i logical",
    ),
    ("a1d7", "ĄŨ", "csisolatin6 iso-8859-10 iso-ir-157 iso8859-10 iso885910 l6 latin6"),
    ("a1d8", "”Ų", "iso-8859-13 iso8859-13 iso885913"),
    ("a1d0", "ḂŴ", "iso-8859-14 iso8859-14 iso885914"),
    ("a4a6", "€Š", "csisolatin9 iso-8859-15 iso8859-15 iso885915 iso_8859-15 l9"),
    ("a4de", "€Ț", "iso-8859-16"),
    ("e1b3", "АЁ", "cskoi8r koi koi8 koi8-r koi8_r"),
    ("b4bf", "Є©", "koi8-ru koi8-u"),
    ("8adb", "ä€", "csmacintosh mac macintosh x-mac-roman"),
    ("80a1", "€ก", "dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874"),
    ("8aa3", "ŠŁ", "cp1250 windows-1250 x-cp1250"),
    ("80c0", "ЂА", "cp1251 windows-1251 x-cp1251"),
    (
        "80e4",
        "€ä",
        "ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591 iso_8859-1 iso_8859-1:1987 l1 "
        "latin1 us-ascii windows-1252 x-cp1252",
    ),
    ("80c1", "€Α", "cp1253 windows-1253 x-cp1253"),
    (
        "80d0",
        "€Ğ",
        "cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989 l5 latin5 windows-1254 x-cp1254",
    ),
    ("80e0", "€א", "cp1255 windows-1255 x-cp1255"),
    ("80c7", "€ا", "cp1256 windows-1256 x-cp1256"),
    ("80c0", "€Ą", "cp1257 windows-1257 x-cp1257"),
    ("80d5", "€Ơ", "cp1258 windows-1258 x-cp1258"),
    ("80ff", "А€", "x-mac-cyrillic x-mac-ukrainian"),
    ("d6d08140", "中丂", "chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 gbk iso-ir-58 x-gbk gb18030"),
    ("a4a4a3e1", "中€", "big5 big5-hkscs cn-big5 csbig5 x-x-big5"),
    ("c6fcada1", "日①", "cseucpkdfmtjapanese euc-jp x-euc-jp"),
    ("1b2442467c2d211b2842", "日①", "csiso2022jp iso-2022-jp"),
    ("93fa8740", "日①", "csshiftjis ms932 ms_kanji shift-jis shift_jis sjis windows-31j x-sjis"),
    (
        "b0a18141",
        "가갂",
        "cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 windows-949",
    ),
    ("1b2429430e30210f", "가", "csiso2022kr iso-2022-kr"),
    ("1b2429410e56500f", "中", "iso-2022-cn iso-2022-cn-ext"),
    ("7e7b56507e7d", "中", "hz-gb-2312"),
    ("4e2d002e", "中.", "utf-16be unicodefffe"),
    ("2d4e2e00", "中.", "csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16le utf-16"),
]
LABELS = [(label, bytes.fromhex(data), text) for data, text, labels in STANDARD for label in labels.split()]


@pytest.mark.parametrize(("label", "data", "text"), LABELS, ids=[label for label, _, _ in LABELS])
def test_every_label_of_the_standard_is_known_however_it_is_spelt(label: str, data: bytes, text: str) -> None:
    assert to_text(data, label) == text
    assert (
        codec(label) == codec(label.upper()) == codec(f'  "{label}"\t') == codec(f"{label}*en") == codec(f"{label} (x)") is not None
    )


@pytest.mark.parametrize(
    ("label", "same"),
    [
        ("windows1250", "windows-1250"),
        ("win-1251", "windows-1251"),
        ("cp-1252", "windows-1252"),
        ("x-windows-949", "euc-kr"),
        ("iso 8859-2", "iso-8859-2"),
        ("iso8859_2", "iso-8859-2"),
        ("eucJP-ms", "euc-jp"),
        ("iso-2022-jp-ms", "iso-2022-jp"),
        ("cp50221", "iso-2022-jp"),
        ("x-mac-greek", "mac-greek"),
        ("x-mac-ce", "mac-latin2"),
        ("x-sjis-docomo", "shift_jis"),
        ("SJIS-win", "shift_jis"),
        ("GB18030-2005", "gb18030"),
        ("big5-2003", "big5"),
        ("IBM00858", "cp858"),
        ("cp65001", "utf-8"),
        ("utf8mb4", "utf-8"),
        ("cp936", "gbk"),
        ("ms950", "big5"),
    ],
)
def test_labels_that_only_mail_has_are_known(label: str, same: str) -> None:
    assert codec(label) == codec(same) is not None


# --- escapes (ISO-2022, HZ, UTF-7) ------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", ["iso-2022-jp", "iso-2022-jp-ms", "cp50220", "iso-2022-jp-2", "ISO-2022-JP-3"])
@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\x1b$B-!3t<02q<R-j\x1b(B B-756", "①株式会社㈱ B-756"),
        (b"\x1b(I1234\x1b(B B-756", "ｱｲｳｴ B-756"),
        (b"\x0e1234\x0f B-756", "ｱｲｳｴ B-756"),
        (b"\x1b$@F|K\\\x1b(J\\~\x1b(B", "日本¥‾"),
        (b"\x1b$BF|\x01K\\\x1b(B B-756", "日\x01本 B-756"),
        (b"\x1b$BF|K\x1b(B B-756", "日\ufffd B-756"),
        (b"\x1b$B\x22\x7eF|\x1b(B B-756", "◯日 B-756"),
        (b"\x1b$B\x29\x21F|\x1b(B B-756", "\ufffd日 B-756"),
        (b"\x1b$BF|K\\\nB-756", "日本\nB-756"),
        (b"\x1b$BF|K\\\r\nB-756", "日本\r\nB-756"),
        (b"\x1b$(D0!\x1b(B", "丂"),
        (b"\x1b$AVP\x1b$(C0!\x1b(B", "中가"),
        (b"\x1b.A\x1bNd\x1b.F\x1bNa", "äα"),
        (b"a\x1b[31mb\x1b", "a\ufffd[31mb\ufffd"),
        (b"\x1b$BF|\xe4K\\\x1b(B\xe4", "日\ufffd本\ufffd"),
        (b"\x1b", "\ufffd"),
        (b"", ""),
    ],
)
def test_iso_2022_jp_is_decoded_with_a_replacement_for_each_error(label: str, data: bytes, text: str) -> None:
    assert to_text(data, label) == text


@pytest.mark.parametrize(
    ("label", "data", "text"),
    [
        ("iso-2022-kr", b'\x1b$)C\x0e0!\x0f B-756\n\x0e0"\x0f', "가 B-756\n각"),
        ("iso-2022-kr", b"\x1b$)C\x0e0!0\x0f B-756", "가\ufffd B-756"),
        ("iso-2022-kr", b"\x1b$)C\x0e0! \x200!\x0f", "가  가"),
        ("iso-2022-cn", b"\x1b$)A\x0eVPND\x0f B-756", "中文 B-756"),
        ("hz-gb-2312", b"~{VPND~} B-756 ~~ ~\nx", "中文 B-756 ~ x"),
        ("hz", b"~{VP\xe4ND~} B-756", "中\ufffd文 B-756"),
        ("hz", b"~{VPN~} B-756", "中\ufffd B-756"),
        ("hz", b"~{6~~} B-756", "二 B-756"),
        ("hz", b"~{VP\r\nB-756 ~", "中\r\nB-756 ~"),
        ("utf-7", b"+AOQ-756 +- +2D3eAA- +AOQ", "ä756 + 😀 ä"),
        ("utf-7", b"B-756 +A-x +AOQ-", "B-756 \ufffdx ä"),
        ("unicode-1-1-utf-7", b"+AOQ-\xe4", "ä\ufffd"),
        ("euc-jp", b"\xad\xa1\x8e\xb1\x8f\xb0\xa1\xc6\xfc\xff B-756", "①ｱ丂日\ufffd B-756"),
    ],
)
def test_its_relatives_are_decoded_with_a_replacement_for_each_error(label: str, data: bytes, text: str) -> None:
    assert to_text(data, label) == text


@pytest.mark.parametrize("label", ["", "us-ascii", "utf-8", "iso-8859-1", "x-unknown"])
def test_text_with_escapes_is_iso_2022_whatever_it_is_called(label: str) -> None:
    assert to_text(b"\x1b$BF|K\\\x1b(B B-756", label) == "日本 B-756"
    assert to_text(b"\x1b$)C\x0e0!\x0f B-756", label) == "가 B-756"
    assert to_text(b"plain \x1b[31m B-756", label) == "plain \x1b[31m B-756"
    assert header_text("\x1b$BF|K\\\x1b(B B-756") == "日本 B-756"


@pytest.mark.parametrize(
    ("label", "data", "text"),
    [
        ("iso-2022-jp", "予約 ä".encode(), "予約 ä"),
        ("iso-2022-jp", "予約".encode("cp932"), "予約"),
        ("iso-2022-kr", "예약".encode("cp949"), "예약"),
        ("hz", "请确认".encode("gb18030"), "请确认"),
        ("utf-16", b"plain ASCII", "plain ASCII"),
        ("utf-16", "ä 756".encode("utf-16-be"), "ä 756"),
        ("utf-16", "ä 756".encode("utf-16-le"), "ä 756"),
        ("utf-16le", b"\xfe\xff\0\xe4", "ä"),
        ("utf-32", "ä 756".encode("utf-32"), "ä 756"),
        ("utf-32", b"\0\0\xfe\xff\0\0\0\xe4", "ä"),
        ("", "ä 756".encode("utf-16"), "ä 756"),
        ("utf-8", b"\xfe\xff" + "<p>ä".encode("utf-16-be"), "<p>ä"),
        ("iso-8859-1", "ä".encode("utf-16"), "ä"),
        ("iso-8859-1", b"\xef\xbb\xbfGr\xc3\xbc\xc3\x9fe", "Grüße"),
        ("", "příjezd: žluťoučký kůň".encode()[:-1], "příjezd: žluťoučký ků\ufffd"),
        ("euc-jp", "čeština".encode(), "čeština"),
        ("big5", b"\xa3\xe1 756", "€ 756"),
    ],
)
def test_a_label_that_the_bytes_contradict_is_not_believed(label: str, data: bytes, text: str) -> None:
    assert to_text(data, label) == text


#: Characters for which Python's codecs and the standard differ (they come from Microsoft's tables in the standard).
DIFFER = str.maketrans("〜‖−¢£¬―・", "～∥－￠￡￢—·")
#: What has a meaning of its own in some of them.
EXCLUDED = "\x0e\x0f\x1b\x85¥‾"


HONEST = pytest.mark.parametrize(
    ("label", "python"),
    [
        ("iso-2022-jp", "iso2022_jp"),
        ("iso-2022-jp-1", "iso2022_jp_1"),
        ("euc-jp", "euc_jp"),
        ("iso-2022-kr", "iso2022_kr"),
        ("hz", "hz"),
    ],
)


@HONEST
def test_every_character_comes_out_as_it_was(label: str, python: str) -> None:
    lines = []
    for character in map(chr, (number for number in range(0x20, 0xD800) if chr(number) not in EXCLUDED)):
        with suppress(UnicodeError):
            character.encode(python)
            lines.append(character)
    text = "\n".join(lines)
    assert to_text(text.encode(python), label).translate(DIFFER) == text.translate(DIFFER)


@HONEST
@given(st.data())
def test_honest_text_comes_out_as_it_was(label: str, python: str, data: st.DataObject) -> None:
    # Where its buffer is just full, Python writes a tilde that is not doubled, and does not read it itself.
    excluded = f"{EXCLUDED}~" if python == "hz" else EXCLUDED
    text = data.draw(st.text(alphabet=st.characters(codec=python, exclude_characters=excluded), max_size=60))
    assert to_text(text.encode(python), label).translate(DIFFER) == text.translate(DIFFER)


@pytest.mark.parametrize(
    "unit",
    [b"\x1b", b"\x1b$", b"\x1b$B", b"\x1b$B0", b"\x1b$B0!", b"\x0e", b"\x0e0\x0f", b"\n", b"~", b"~{", b"~{0", b"~{0!~}", b"\xb0", b"\xb0\xa1", b"\x8f", b"+", b"+A", b"\xe4"],
)  # fmt: skip
@pytest.mark.parametrize("label", ["iso-2022-jp", "hz", "euc-jp", "utf-7", "gb18030", "utf-16", ""])
def test_hostile_text_of_any_charset_takes_linear_time(label: str, unit: bytes) -> None:
    assert_linear(lambda data: to_text(data, label), unit, 30_000)


# --- html that says its charset ---------------------------------------------------------------------------------------


# --- encoded words ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("utf-8", "Grüße, čeština, 😀"),
        ("UTF8", "ä"),
        ("iso-8859-1", "Größe"),
        ("iso-8859-2", "Příliš žluťoučký"),
        ("iso-8859-15", "10 €"),
        ("windows-1250", "žluťoučký"),
        ("windows-1252", "\u201equoted\u201c \u2013 €"),
        ("cp-850", "à"),
        ("gb2312", "请确认预订"),
        ("hz-gb-2312", "请"),
        ("big5", "預訂"),
        ("shift_jis", "予約の確認"),
        ("x-sjis", "予約"),
        ("euc-jp", "予約"),
        ("iso-2022-jp", "予約の確認"),
        ("ks_c_5601-1987", "예약"),
        ("euc-kr", "예약"),
        ("koi8-r", "Подтверждение"),
        ("koi8-u", "Підтвердження"),
        ("windows-1251", "Подтверждение"),
        ("iso-8859-8-i", "שלום"),
        ("windows-1255", "שלום"),
        ("windows-874", "สวัสดี"),
        ("macintosh", "é"),
        ("utf-16", "ä 756"),
        ("utf-7", "ä 756"),
    ],
)
def test_text_in_its_charset_comes_out_as_it_was(charset: str, text: str) -> None:
    name = codec(charset)
    assert name is not None
    assert to_text(text.encode(name), charset) == text


def test_the_web_s_meaning_of_a_name_counts() -> None:
    assert to_text(b"\x80 \x93", "iso-8859-1") == "€ \u201c"
    assert to_text(b"\x87@", "shift_jis") == "①"
    assert to_text("€".encode("gb18030"), "gb2312") == "€"


@pytest.mark.parametrize("charset", ["", "us-ascii", "x-unknown", "utf-9", "iso-8859-99", "%s", "\xe4", "a" * 100, "\0"])
def test_8bit_text_of_no_known_charset_is_read_as_utf8_and_else_as_cp1252(charset: str) -> None:
    assert to_text("čeština".encode(), charset) == "čeština"
    assert to_text(b"Gr\xfc\xdfe \x80", charset) == "Grüße €"
    assert to_text(b"\x81\x8d ok \xe4", charset) == "\ufffd\ufffd ok ä"


@pytest.mark.parametrize(
    "charset", ["rot13", "base64", "zlib", "idna", "punycode", "unicode_escape", "undefined", "mbcs", "hex", "quopri"]
)
def test_what_python_calls_a_codec_but_mail_does_not_is_no_charset(charset: str) -> None:
    assert codec(charset) is None
    assert to_text(b"\\ud800 756", charset) == "\\ud800 756"


def test_a_few_broken_bytes_leave_the_rest_of_a_text_readable() -> None:
    text = "Подтверждение бронирования"
    assert to_text(text.encode()[:-1], "utf-8") == text[:-1] + "\ufffd"
    assert to_text("请确认预订".encode("gb18030")[:-1], "gb2312") == "请确认预\ufffd"
    assert to_text(b"Gr\xfc\xdfe", "utf-8") == "Grüße"
