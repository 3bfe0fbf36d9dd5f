"""Transfer encodings: the bytes that were sent, some bytes of broken data, never an exception."""

from __future__ import annotations

import base64
import binascii
import re
from email.message import Message

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gatewayd.message.transfer_encoding import transfer_decoded
from tests.unit.linear import assert_linear


def decoded(data: bytes, encoding: str, step: int = 1 << 20) -> bytes:
    pieces = (data[at : at + step] for at in range(0, len(data), step))
    return b"".join(transfer_decoded(pieces, encoding))


# --- encoded words ----------------------------------------------------------------------------------------------------


# --- parameters (RFC 2231) --------------------------------------------------------------------------------------------


# --- transfer encodings -----------------------------------------------------------------------------------------------

STEPS = st.integers(min_value=1, max_value=5000)


@given(st.binary(max_size=3000), STEPS)
def test_base64_comes_back_whatever_the_pieces(data: bytes, step: int) -> None:
    assert decoded(base64.encodebytes(data), "base64", step) == data
    assert decoded(base64.b64encode(data).rstrip(b"="), "base64", step) == data


@given(st.binary(max_size=3000), STEPS)
def test_quoted_printable_comes_back_whatever_the_pieces(data: bytes, step: int) -> None:
    assert decoded(binascii.b2a_qp(data, istext=False), "quoted-printable", step) == data


@given(st.binary(max_size=3000), STEPS)
def test_uuencode_comes_back_whatever_the_pieces(data: bytes, step: int) -> None:
    lines = [b"a line before\n", b"begin 644 a.bin\r\n"]
    lines += [binascii.b2a_uu(data[at : at + 45]).replace(b"\n", b"\r\n") for at in range(0, len(data), 45)]
    assert decoded(b"".join([*lines, b"`\r\nend\r\nafter\r\n"]), "x-uuencode", step) == data


def payload(data: bytes, encoding: str) -> object:
    message = Message()
    message["Content-Transfer-Encoding"] = encoding
    message.set_payload(data.decode("latin-1"))
    return message.get_payload(decode=True)


@given(st.text(alphabet="AZaz09+/\r\n \t-_!", max_size=200))
def test_broken_base64_is_read_as_the_standard_library_reads_it(text: str) -> None:
    significant = sum(char.isalnum() or char in "+/" for char in text)
    # They give up on a single last character; we leave it out.
    assume(significant % 4 != 1)
    assert decoded(text.encode(), "base64") == payload(text.encode(), "base64")


@given(st.text(alphabet="=AF09zx \r\n_\xe4", max_size=200))
def test_broken_quoted_printable_is_read_as_the_standard_library_reads_it(text: str) -> None:
    data = text.encode("latin-1")
    # They know no soft line break before a CR alone, or with blanks behind its "=".
    assume(not re.search(rb"=(?:[ \t]+(?:[\r\n]|\Z)|\r(?!\n))", data))
    assert decoded(data, "quoted-printable") == binascii.a2b_qp(data)


def test_base64_ends_at_its_padding_unless_base64_alone_stands_behind_it() -> None:
    assert decoded(b"NzU2IA==\r\nNzU2", "base64") == b"756 756"
    assert decoded(b"NzU2IA== \r\n \r\nNzU2 \r\n", "base64", 2) == b"756 756"
    assert decoded(b"NzU2IA==\r\nRegards\r\n", "base64", 2) == b"756 "
    assert decoded(b"NzU2\r\nIA==\r\n-- \r\nlist footer", "base64", 3) == b"756 "
    assert decoded(b"NzU2IA==" + b"\r\n" * 600 + b"a footer", "base64", 3) == b"756 "
    assert decoded(b"A", "base64") == b""


@pytest.mark.parametrize("step", [1, 2, 3, 5, 1000])
def test_more_padding_than_base64_needs_tells_nothing_whatever_the_pieces(step: int) -> None:
    assert decoded(b"NzU===\r\nNzU2", "base64", step) == b"75756"
    assert decoded(b"NzU2IA== =\r\n=\r\nNzU2", "base64", step) == b"756 756"
    assert decoded(b"NzU2IA===\r\n=Regards", "base64", step) == b"756 "


@given(st.text(alphabet="AZ9+=\r\n -", max_size=60), st.integers(0, 1100), STEPS)
@settings(max_examples=300)
def test_damaged_base64_says_the_same_whatever_the_pieces(text: str, more: int, step: int) -> None:
    data = text.encode() + b"A" * more + text.encode()
    assert decoded(data, "base64", step) == decoded(data, "base64")


@given(st.lists(st.binary(max_size=1500), max_size=4), st.sampled_from([b"", b"\n", b"\r\n\r\n"]), STEPS)
def test_base64_encoded_in_several_runs_is_read_to_its_end(runs: list[bytes], between: bytes, step: int) -> None:
    assert decoded(between.join(map(base64.encodebytes, runs)), "base64", step) == b"".join(runs)


@given(st.lists(st.binary(min_size=1, max_size=3000), min_size=1, max_size=3), st.text(max_size=80), STEPS)
def test_what_is_none_behind_the_padding_is_not_read_as_base64(runs: list[bytes], footer: str, step: int) -> None:
    assume(len(runs[-1]) % 3)
    behind = b"\r\n-- \r\n" + footer.encode()
    assume(sum(map(len, runs[1:])) == 0 or len(base64.encodebytes(runs[-1])) > 1100)
    assert decoded(b"".join(map(base64.encodebytes, runs)) + behind, "base64", step) == b"".join(runs)


def test_hostile_paddings_take_linear_time() -> None:
    assert_linear(lambda text: decoded(text.encode(), "base64"), "QQ==")
    assert_linear(lambda text: decoded(text.encode(), "base64"), "QQ=")
    assert_linear(lambda text: decoded(text.encode(), "base64", 1), "=A")


def test_a_quoted_printable_line_without_end_is_decoded_in_pieces() -> None:
    data = b"=C3=A4" * 100_000 + b"x" * 5000 + b"="
    assert decoded(data, "quoted-printable", 1000) == "ä".encode() * 100_000 + b"x" * 5000


def test_uuencode_bears_wrong_counts_and_garbage() -> None:
    good = binascii.b2a_uu(b"756").rstrip(b"\n")
    assert decoded(b"begin 644 a\n" + good + b"  xx\n`\nend\n", "uue") == b"756"
    assert decoded(b"begin 644 a\n\xff\xff\n\n#\nM\n" + good, "uuencode")[-3:] == b"756"


@pytest.mark.parametrize("encoding", ["7bit", "8bit", "binary", "x-yenc", ""])
def test_what_is_not_encoded_is_passed_on(encoding: str) -> None:
    assert decoded(b"\0=41\r\n.", encoding) == b"\0=41\r\n."


@given(st.binary(max_size=500), st.sampled_from(["base64", "quoted-printable", "x-uuencode", "7bit"]), STEPS)
def test_any_bytes_decode_without_an_exception(data: bytes, encoding: str, step: int) -> None:
    assert isinstance(decoded(b"begin 1 x\n" + data, encoding, step), bytes)


# --- html -------------------------------------------------------------------------------------------------------------
