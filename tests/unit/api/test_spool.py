"""The spool: what is put comes back byte for byte, a message that breaks off leaves nothing, closing removes the file."""

from __future__ import annotations

import hashlib
import os
import pickle
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.api.spool import Spool
from gatewayd.api.values import Listed
from gatewayd.errors import TooLarge, TransientError
from gatewayd.message.mail import parse
from gatewayd.message.values import CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@given(st.lists(st.lists(st.binary(max_size=50), max_size=4), max_size=6), st.integers(0, 220), st.integers(0, 220))
def test_messages_come_back_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory, messages: list[list[bytes]], offset: int, size: int
) -> None:
    with Spool(tmp_path_factory.mktemp("spool") / "batch") as spool:
        came = [spool.put(str(number), chunks) for number, chunks in enumerate(messages)]
        spool.seal()
        for number, (one, chunks) in enumerate(zip(came, messages, strict=True)):
            whole = b"".join(chunks)
            assert (one.key, one.source.size, one.digest) == (str(number), len(whole), hashlib.sha256(whole).digest())
            assert one.source.read(0, one.source.size) == whole
            # Nothing of the next message can be read by reading on.
            assert one.source.read(offset, size) == whole[offset : offset + size]


def broken() -> Iterator[bytes]:
    yield b"half of a mess"
    raise ConnectionResetError


def test_a_message_that_breaks_off_leaves_nothing_behind(tmp_path: Path) -> None:
    with Spool(tmp_path / "batch") as spool:
        first = spool.put("1", [b"first"])
        with pytest.raises(ConnectionResetError):
            spool.put("2", broken())
        third = spool.put("3", [b"3rd"])
        spool.seal()
        assert (first.source.read(0, 9), third.source.read(0, 9)) == (b"first", b"3rd")
        assert third.source.size == 3


def test_a_message_larger_than_a_chunk_is_read_in_pieces(tmp_path: Path) -> None:
    with Spool(tmp_path / "batch") as spool:
        source = spool.put("1", (bytes([number]) * CHUNK for number in range(3))).source
        spool.seal()
        assert source.size == 3 * CHUNK
        assert source.read(CHUNK - 1, 3) == b"\0\1\1"
        assert source.read(3 * CHUNK - 1, 10) == b"\2"


def test_a_source_pickles_small_and_reads_in_another_place(tmp_path: Path) -> None:
    with Spool(tmp_path / "batch") as spool:
        source = spool.put("1", [b"Subject: 756\r\n\r\n" + b"x" * 100_000]).source
        spool.seal()
        mail = parse(source, mail_id=5)
        data = pickle.dumps(mail)
        assert len(data) < 3000
        again = pickle.loads(data)
        assert again == mail
        assert b"".join(again.raw()) == b"".join(mail.raw())
        assert again.text == "x" * 100_000


def test_closing_removes_the_file(tmp_path: Path) -> None:
    with Spool(tmp_path / "batch") as spool:
        spool.put("1", [b"x"])
        assert (tmp_path / "batch").exists()
    assert list(tmp_path.iterdir()) == []
    spool.close()


def test_a_file_that_is_there_already_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "batch").write_bytes(b"another batch")
    with pytest.raises(TransientError, match="the spool can't be written"):
        Spool(tmp_path / "batch")
    assert (tmp_path / "batch").read_bytes() == b"another batch"


def test_a_full_disk_is_told_from_a_lost_connection(tmp_path: Path) -> None:
    # /dev/full is a disk without room: it gives the same error as a real one.
    spool = Spool(tmp_path / "batch")
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, spool._file.fileno())
    os.close(full)
    with pytest.raises(TransientError, match="No space left on device") as raised:
        spool.put("1", [b"x" * CHUNK])
    assert "state folder" in raised.value.advice
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_when_the_batch_is_sealed_is_told_too(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "batch")
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, spool._file.fileno())
    os.close(full)
    spool.put("1", [b"x"])
    with pytest.raises(TransientError, match="No space left on device"):
        spool.seal()
    spool.close()


def fill_disk(spool: Spool) -> int:
    """Let the spool write to a disk without room; return what mends it."""
    number = spool._file.fileno()
    before = os.dup(number)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, number)
    os.close(full)
    return before


def test_a_full_disk_does_not_hide_why_a_message_broke_off(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "batch")
    os.close(fill_disk(spool))
    with pytest.raises(ConnectionResetError):
        spool.put("1", broken())
    with pytest.raises(TransientError, match="No space left on device"):
        spool.put("2", [b"x"])
    spool.close()


def test_messages_are_whole_when_a_full_disk_has_room_again(tmp_path: Path) -> None:
    with Spool(tmp_path / "batch") as spool:
        first = spool.put("1", [b"first"])
        spool.seal()
        before = fill_disk(spool)
        with pytest.raises(TransientError):
            spool.put("2", [b"small", b"x" * CHUNK])
        os.dup2(before, spool._file.fileno())
        os.close(before)
        third = spool.put("3", [b"third"])
        spool.seal()
        assert (first.source.read(0, 99), third.source.read(0, 99)) == (b"first", b"third")


def test_a_spool_that_is_gone_is_an_error_of_the_disk(tmp_path: Path) -> None:
    with Spool(tmp_path / "batch") as spool:
        source = spool.put("1", [b"first"]).source
    with pytest.raises(TransientError, match="the spool can't be read: No such file"):
        source.read(0, 5)


# --- bounds -------------------------------------------------------------------------------------------------------------------

MIB = 1 << 20


def endless(taken: list[int]) -> Iterator[bytes]:
    while True:
        taken.append(MIB)
        yield b"x" * MIB


def test_P8_of_a_message_no_more_is_kept_than_its_listed_size_allows(tmp_path: Path) -> None:
    taken: list[int] = []
    with Spool(tmp_path / "batch") as spool:
        spool.expect([Listed("7:1", 110), Listed("7:2", 110)], 100 * MIB)
        with pytest.raises(TooLarge, match=f"more than {2 * 110 + MIB} bytes"):
            spool.put("7:1", endless(taken))
        assert spool.broken == "7:1"
        assert len(taken) == 2
        came = spool.put("7:2", [b"whole"])
        spool.seal()
        assert came.source.read(0, 100) == b"whole"
        assert (tmp_path / "batch").stat().st_size <= 2 * MIB


@pytest.mark.parametrize(
    ("size", "bound"), [(None, 5 * MIB), (0, MIB), (MIB, 3 * MIB), (4 * MIB, 5 * MIB)], ids=["unknown", "empty", "some", "largest"]
)
def test_P8_the_bound_of_a_message_is_by_its_size_and_never_above_the_largest(tmp_path: Path, size: int | None, bound: int) -> None:
    with Spool(tmp_path / "batch") as spool:
        spool.expect([Listed("7:1", size)], 5 * MIB)
        assert spool.allowed("7:1") == bound
        assert spool.put("7:1", [b"x" * bound]).source.size == bound


def test_P8_all_messages_of_a_spool_together_have_a_bound(tmp_path: Path) -> None:
    taken: list[int] = []
    with Spool(tmp_path / "batch") as spool:
        spool.expect([Listed(f"7:{uid}", None) for uid in range(5)], 4 * MIB)
        spool.put("7:0", [b"x" * MIB] * 3)
        with pytest.raises(TooLarge, match=f"room for {MIB} bytes"):
            spool.put("7:1", endless(taken))
        spool.seal()
        assert (tmp_path / "batch").stat().st_size <= 5 * MIB
