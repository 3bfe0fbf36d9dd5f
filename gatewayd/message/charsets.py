"""Decode bytes to text by the charset that mail names, and by the bytes themselves if that name is missing or wrong."""

from __future__ import annotations

import codecs
import re
from encodings import normalize_encoding
from encodings.aliases import aliases
from functools import lru_cache
from typing import TYPE_CHECKING

from gatewayd.message.iso2022 import escaped, euc_jp, hz, iso_2022

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["codec", "to_text"]

# --- names ------------------------------------------------------------------------------------------------------------

#: All labels of the WHATWG Encoding Standard (section 4.2), by the Python codec that decodes them.
_STANDARD = {
    "utf-8": "unicode-1-1-utf-8 utf-8 utf8 unicode11utf8 unicode20utf8 x-unicode20utf8",
    "cp866": "866 cp866 csibm866 ibm866",
    "iso8859_2": "csisolatin2 iso-8859-2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 l2 latin2",
    "iso8859_3": "csisolatin3 iso-8859-3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 l3 latin3",
    "iso8859_4": "csisolatin4 iso-8859-4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 l4 latin4",
    "iso8859_5": "csisolatincyrillic cyrillic iso-8859-5 iso-ir-144 iso8859-5 iso88595 iso_8859-5 iso_8859-5:1988",
    "iso8859_6": "arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6 iso-8859-6-e iso-8859-6-i "
    "iso-ir-127 iso8859-6 iso88596 iso_8859-6 iso_8859-6:1987",
    "iso8859_7": "csisolatingreek ecma-118 elot_928 greek greek8 iso-8859-7 iso-ir-126 iso8859-7 iso88597 iso_8859-7 "
    "iso_8859-7:1987 sun_eu_greek",
    "iso8859_8": "csiso88598e csisolatinhebrew hebrew iso-8859-8 iso-8859-8-e iso-ir-138 iso8859-8 iso88598 iso_8859-8 "
    "iso_8859-8:1988 visual csiso88598i iso-8859-8-i logical",
    "iso8859_10": "csisolatin6 iso-8859-10 iso-ir-157 iso8859-10 iso885910 l6 latin6",
    "iso8859_13": "iso-8859-13 iso8859-13 iso885913",
    "iso8859_14": "iso-8859-14 iso8859-14 iso885914",
    "iso8859_15": "csisolatin9 iso-8859-15 iso8859-15 iso885915 iso_8859-15 l9",
    "iso8859_16": "iso-8859-16",
    "koi8_r": "cskoi8r koi koi8 koi8-r koi8_r",
    "koi8_u": "koi8-ru koi8-u",
    "mac_roman": "csmacintosh mac macintosh x-mac-roman",
    "cp874": "dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874",
    "cp1250": "cp1250 windows-1250 x-cp1250",
    "cp1251": "cp1251 windows-1251 x-cp1251",
    "cp1252": "cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591 iso_8859-1 iso_8859-1:1987 l1 latin1 "
    "windows-1252 x-cp1252 x-user-defined",
    "cp1253": "cp1253 windows-1253 x-cp1253",
    "cp1254": "cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989 l5 latin5 "
    "windows-1254 x-cp1254",
    "cp1255": "cp1255 windows-1255 x-cp1255",
    "cp1256": "cp1256 windows-1256 x-cp1256",
    "cp1257": "cp1257 windows-1257 x-cp1257",
    "cp1258": "cp1258 windows-1258 x-cp1258",
    "mac_cyrillic": "x-mac-cyrillic x-mac-ukrainian",
    "gb18030": "chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 gbk iso-ir-58 x-gbk gb18030",
    "big5hkscs": "big5 big5-hkscs cn-big5 csbig5 x-x-big5",
    "euc_jp": "cseucpkdfmtjapanese euc-jp x-euc-jp",
    "iso2022_jp": "csiso2022jp iso-2022-jp",
    "cp932": "csshiftjis ms932 ms_kanji shift-jis shift_jis sjis windows-31j x-sjis",
    "cp949": "cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 windows-949",
    # Browsers refuse these charsets; mail really uses them.
    "iso2022_kr": "csiso2022kr iso-2022-kr iso-2022-cn iso-2022-cn-ext",
    "hz": "hz-gb-2312",
    "utf_16_be": "unicodefffe utf-16be",
    "utf_16_le": "csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16le",
    "utf_16": "utf-16",
}
#: Further labels in mail. Text that is wrongly called ASCII can be anything, and is mostly UTF-8.
_IN_MAIL = {
    "utf-8": "ansi_x3.4-1968 ascii us-ascii csascii iso646-us iso-ir-6 us uft-8 utf utf-8n utf8mb4 utf-8-sig utf-8-mac cp65001",
    "cp1252": "ansi win-ansi cp-1252 iso-8859-1-windows-3.1-latin-1 binary-latin1",
    "iso2022_jp": "iso-2022-jp-ms iso-2022-jp-1 iso-2022-jp-2 iso-2022-jp-3 iso-2022-jp-2004 iso-2022-jp-ext csiso2022jp2 jis "
    "jis_encoding csjisencoding cp50220 cp50221 cp50222 x-windows-iso2022jp",
    "euc_jp": "eucjp ujis eucjp-ms eucjp-win eucjpms cp51932 x-eucjp euc_jp_linux",
    "cp932": "x-ms-cp932 cp943 cp943c cswindows31j windows-932 shift-jis-ms x-shift-jis",
    "gb18030": "euc-cn euccn x-euc-cn gb2312-80 gb-2312 x-gb2312 cp936 ms936 windows-936 gb18030-2000 csgb18030",
    "big5hkscs": "x-big5 big5-eten cp950 ms950 windows-950 big-5 csbig5hkscs",
    "cp949": "uhc ks_c_5601 ksc5601-1987 x-windows-949 cp949 ms949 ksc-5601 x-euc-kr",
    "utf_7": "utf-7 unicode-1-1-utf-7 x-unicode-2-0-utf-7 csunicode11utf7 csutf7",
    "hz": "hz hzgb2312",
    "koi8_u": "x-koi8-u cskoi8u",
    "mac_latin2": "mac-ce x-mac-ce macce x-mac-centraleurroman x-mac-central-europe mac-centraleurope",
    "cp874": "iso-ir-166 tis620 tis620.2533 cp874 ms874 x-iso-8859-11",
}

# Some of Python's codecs are no charsets (rot13, zlib), and some take quadratic time (idna, punycode).
_CHARSET = re.compile(r"(?:cp|iso8859|mac_|koi8_|utf_|big5|euc_|johab|shift_jis|kz1048|ptcp154|hp_roman8)")
_KNOWN = {name for name in aliases.values() if _CHARSET.match(name)} | {"cp720", "cp856", "cp1006"}
_NUMBERED = re.compile(r"(?:x|cs)?(?:windows|win|cp|ms|ibm|dos|oem)([0-9]{3,5})")
#: A name followed by a version or vendor, which is not the number of a part (as in iso-8859-99).
_VERSION = re.compile(r"(.{2,}[a-z0-9])[-_:/](?![0-9]{0,3}$)[^-_:/]*")


def _squeezed(label: str) -> str:
    """Return a label without punctuation, which mail varies."""
    return normalize_encoding(label).replace("_", "")


@lru_cache(maxsize=1)
def _labels() -> Mapping[str, str]:
    """Return the codec of each known label, both as spelt and without punctuation."""
    found = {_squeezed(alias): name for alias, name in aliases.items() if name in _KNOWN}
    found |= {_squeezed(name): name for name in _KNOWN}
    for table in (_IN_MAIL, _STANDARD):
        found |= {spelt: name for name, labels in table.items() for label in labels.split() for spelt in (label, _squeezed(label))}
    # Some of Python's aliases lead to codecs with fewer characters than mail means by the name.
    return found | {_squeezed(alias): found[_squeezed(name)] for alias, name in aliases.items() if _squeezed(name) in found}


@lru_cache(maxsize=512)
def codec(charset: str) -> str | None:
    """Return the name of Python's codec for a charset as mail names it; None if it is unknown."""
    if not charset.isascii() or len(charset) > 64:  # noqa: PLR2004  no charset's name is longer
        return None
    # A language may follow an asterisk (RFC 2231 section 5).
    label = charset.strip(" \t\r\n\f\"'").partition("*")[0].lower()
    squeezed = _squeezed(label)
    numbered = _NUMBERED.fullmatch(squeezed)
    spelt = (label, squeezed, f"cp{int(numbered[1])}" if numbered else squeezed.removeprefix("x"))
    found = next((known for one in spelt if (known := _labels().get(one))), None)
    if found is None and (words := re.split(r"[\s;,(]", label, maxsplit=1))[0] not in {"", label}:
        # Other text may follow the name.
        return codec(words[0])
    if found is None and squeezed != "unicodeescape" and (version := _VERSION.fullmatch(label)):
        return codec(version[1])
    return found


# --- text -------------------------------------------------------------------------------------------------------------


def _utf_7(data: bytes) -> str:
    return data.decode("utf-7", "replace")


#: Charsets that Python's codecs do not decode as mail means them. These decoders return U+FFFD for each error.
_OWN: Mapping[str, Callable[[bytes], str]] = {
    "iso2022_jp": iso_2022,
    "iso2022_kr": iso_2022,
    "hz": hz,
    "euc_jp": euc_jp,
    "utf_7": _utf_7,
}
#: Charsets of 7-bit text, with the charsets that 8-bit text under that name really has.
_SEVEN_BIT = {"iso2022_jp": ("utf-8", "cp932"), "iso2022_kr": ("utf-8", "cp949"), "hz": ("utf-8", "gb18030"), "utf_7": ("utf-8",)}
#: Charsets in which ASCII bytes are not ASCII text.
_WIDE = frozenset({*("utf_16", "utf_16_le", "utf_16_be", "utf_32", "utf_32_le", "utf_32_be"), *("cp037", "cp1026", "cp1140")})
_NO_ASCII = _WIDE | {*("cp273", "cp424", "cp500", "cp875"), *_SEVEN_BIT}
#: Further codecs to try if a codec lacks characters that programs write under its name.
_MORE = {"big5hkscs": ("cp950",)}


def to_text(data: bytes, charset: str = "") -> str:
    """Return ``data`` as text: by ``charset``, else as UTF-8, else as that charset or cp1252 with U+FFFD for each error."""
    named = codec(charset) if charset else None
    if named in _NO_ASCII:
        return _seven_bit(data, named) if named in _SEVEN_BIT else _eight_bit(data, named)
    if data.isascii():
        return iso_2022(data) if b"\x1b" in data and escaped(data) else data.decode("ascii")
    if data[:2] in _MARKS and b"\0" in data:
        # A byte order mark and NULs mean UTF-16, whatever the text is called.
        return _eight_bit(data, "utf_16")
    if named is not None and named not in _OWN and data[:3] != codecs.BOM_UTF8:
        try:
            return data.decode(named)
        except UnicodeError:
            pass
    return _eight_bit(data, named)


def _seven_bit(data: bytes, named: str) -> str:
    if not data.isascii() and (b"~{" if named == "hz" else b"\x1b") not in data:
        for name in _SEVEN_BIT[named]:
            if (text := _strictly(data, name)) is not None:
                return text
    return _OWN[named](data)


def _eight_bit(data: bytes, named: str | None) -> str:
    if named in _WIDE:
        named = _wide(data, named)
    if data.startswith(codecs.BOM_UTF8):
        data, named = data[len(codecs.BOM_UTF8) :], "utf-8"
    for name in dict.fromkeys((named, *_MORE.get(named or "", ()), "utf-8")):
        if name and (text := _strictly(data, name)) is not None:
            return text
    # A multi-byte text with a few broken bytes is still in that charset; if most of it fails, it never was.
    name = named or "utf-8"
    text = _OWN[name](data) if name in _OWN else data.decode(name, "replace")
    if text.count("\ufffd") * 2 > len(text) - len(text.encode("ascii", "ignore")):
        return data.decode("cp1252", "replace")
    return text


_MARKS = {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}


def _strictly(data: bytes, name: str) -> str | None:
    """Return the text of bytes that are entirely valid in a charset; else None."""
    if name in _OWN:
        text = _OWN[name](data)
        return None if "\ufffd" in text else text
    try:
        return data.decode(name)
    except UnicodeError:
        return None


def _wide(data: bytes, named: str) -> str | None:
    """Return the variant of UTF-16 or UTF-32 that ``data`` is in; None if its name is wrong.

    Text in UTF-16 has NULs: its spaces at least.
    """
    if named.startswith("utf_32") and data[:4] in {codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE}:
        return "utf_32"
    if data[:2] in _MARKS:
        return "utf_16"
    if not named.startswith("utf_16"):
        return named
    high, low = data[::2].count(0), data[1::2].count(0)
    if not high and not low and _strictly(data, "utf-8") is not None:
        return None
    if named != "utf_16":
        return named
    return "utf_16_be" if high > low else "utf_16_le"
