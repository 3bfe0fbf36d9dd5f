"""A line of the log: nothing from outside can forge one, it is bounded, and it goes where the config says."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import threading
import unicodedata
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.runtime import journal
from tests.unit.log import logged

if TYPE_CHECKING:
    from pathlib import Path


HOSTILE = '\x00\x07\x1b[31m\x7f\x85\x9b\u200b\u200e\u202e\u2028\u2029\ufeff\ud800\udfff\ue000\U000e0001 ="\\\r\n<3>'

anything = (
    st.text(st.characters(categories=None)) | st.text(st.sampled_from(HOSTILE + "ab é中")) | st.just("x\n<0>forged account=a")
)

HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def joined(text: str) -> str:
    """JSON knows no two halves of a pair that are not that pair's character (RFC 8259 section 8.2)."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def fields_of(line: str) -> list[tuple[str, str]]:
    """Read a plain line's fields back, as a person's script would."""
    found = re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)', line)
    return [(name, json.loads(value) if value.startswith('"') else value) for name, value in found]


@given(anything, anything)
def test_P9_a_value_from_outside_stays_one_field_of_one_line(folder: str, key: str) -> None:
    with logged() as log:
        journal.mail_filed("main", 1, folder=folder, key=key, size=1, operators=["a"], links=0, faults=0)
    text = log.getvalue()
    assert text.endswith("\n")
    line = text[:-1]
    assert not {char for char in line if unicodedata.category(char) in HIDDEN}
    expected = [("account", "main"), ("mail", "1"), ("folder", joined(folder)), ("key", joined(key)), ("size", "1")]
    expected = [one for one in expected if one[1]]
    assert fields_of(line)[: len(expected)] == expected
    assert len(fields_of(line)) == len(expected) + 3


@given(anything)
def test_P9_json_is_one_object_a_line_of_ascii_and_gives_the_value_back(folder: str) -> None:
    with logged("json") as log:
        journal.watch_started("main", folder=folder)
    text = log.getvalue()
    assert text.count("\n") == 1
    assert text[:-1].isascii()
    assert text[:-1].isprintable()
    assert json.loads(text).get("folder", "") == joined(folder)


def test_long_values_are_cut_and_long_lists_too() -> None:
    with logged("json") as log:
        journal.lease_lost("main", cause="x" * 5000)
        journal.mail_filed("main", 1, folder="I", key="1", size=1, operators=["o" * 2000] * 200, links=0, faults=0)
    first, second = map(json.loads, log.getvalue().splitlines())
    assert first["cause"] == "x" * 1000 + "…"
    assert len(second["operators"]) == 100
    assert len(second["operators"][0]) == 1000


def test_what_the_stream_can_not_encode_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("w", encoding="ascii") as stream, logged(stream=stream):
        journal.watch_started("main", folder="Über")
    assert 'folder="' not in path.read_text()
    assert r"folder=\xdcber" in path.read_text()


@pytest.mark.parametrize("layout", ["plain", "json"])
def test_lines_for_journald_have_a_priority_and_no_time(layout: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    found = os.fstat(writing)
    monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
    with os.fdopen(reading) as log, os.fdopen(writing, "w") as stream, logged(layout, stream=stream):
        journal.account_taken("main", epoch=1)
        journal.watch_started("main", folder="INBOX")
        journal.lease_lost("main", cause="gone")
        journal.breaker_opened(operator="acme", by="b")
        lines = [log.readline() for _ in range(4)]
    assert [line[:3] for line in lines] == ["<6>", "<7>", "<4>", "<3>"]
    if layout == "plain":
        assert lines[0] == "<6>account taken account=main epoch=1\n"
    else:
        assert json.loads(lines[0][3:])["event"] == "account taken"


def test_a_file_beside_journald_has_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "1:2")
    with (tmp_path / "log").open("w") as stream, logged(stream=stream):
        journal.account_taken("main", epoch=1)
    assert (tmp_path / "log").read_text().startswith("20")


def test_without_being_configured_nothing_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    journal.breaker_opened(operator="acme", by="b")
    assert capfd.readouterr() == ("", "")


def test_configured_again_it_goes_to_the_new_stream_only() -> None:
    with logged() as first, logged() as second:
        journal.account_released("main")
    assert not first.getvalue()
    assert second.getvalue().count("\n") == 1


def test_what_others_log_to_our_own_logger_is_an_event_without_fields() -> None:
    with logged() as log:
        logging.getLogger("gatewayd").warning("plain words")
    assert log.getvalue().endswith("warning plain words\n")


def test_a_log_that_can_not_be_written_stops_nothing() -> None:
    stream = io.StringIO()
    with logged(stream=stream):
        stream.close()
        journal.breaker_opened(operator="acme", by="b")


def test_lines_of_many_threads_stay_whole() -> None:
    def speak(name: str) -> None:
        for number in range(200):
            journal.account_taken(name, epoch=number)

    with logged("json") as log:
        threads = [threading.Thread(target=speak, args=(name,)) for name in "abcdefgh"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    for name in "abcdefgh":
        assert [one["epoch"] for one in lines if one["account"] == name] == list(range(200))
