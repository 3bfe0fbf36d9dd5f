"""What commands print: text from mail can't command a terminal, tables are aligned, JSON has stable names."""

from __future__ import annotations

import io
import json
import sys
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd import Attachment, ConfigError, FilingFault, FilingView, LinkView, Part, PermanentError, RivalView
from gatewayd.cli import output
from gatewayd.errors import Fault

if TYPE_CHECKING:
    from gatewayd.cli.output import Json

#: All that a terminal may take for a command, that turns text around, or that can't be encoded.
HOSTILE = "\x00\x07\x08\x1b[31m\x7f\x85\x9b2J\u200b\u200e\u202e\u2028\u2029\u2066\ufeff\ud800\ue000"
CONTROLS = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
anything = st.text(st.characters(categories=None)) | st.text(st.sampled_from(HOSTILE + "ab é中\t\r\n"))


@given(anything)
def test_P9_clean_text_is_one_line_and_has_nothing_that_a_terminal_obeys(text: str) -> None:
    cleaned = output.clean(text)
    assert not {unicodedata.category(char) for char in cleaned} & CONTROLS
    assert len(cleaned.splitlines()) <= 1
    assert output.clean(cleaned) == cleaned
    cleaned.encode()
    kept = "".join(char for char in text if unicodedata.category(char) not in CONTROLS | {"Zs"})
    assert "".join(char for char in cleaned if unicodedata.category(char) != "Zs") == kept, "visible text was lost"


def test_clean_keeps_words_apart() -> None:
    assert output.clean("one\r\ntwo\tthree\u2028four") == "one  two three four"
    assert output.clean("Příliš žluťoučký, 中文, ٣, 🙂") == "Příliš žluťoučký, 中文, ٣, 🙂"


@given(
    st.dictionaries(st.sampled_from("abc"), anything | st.integers() | st.booleans() | st.none() | st.lists(anything), max_size=3)
)
def test_a_line_of_json_is_one_line_that_comes_back_and_commands_no_terminal(row: dict[str, Json]) -> None:
    for encoding in ("utf-8", "iso8859-1", "ascii"):
        with pytest.MonkeyPatch.context() as patch:
            raw = io.BytesIO()
            patch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding))
            output.json_line(row)
            sys.stdout.flush()
            printed = raw.getvalue().decode(encoding)
        assert json.loads(printed) == row
        assert not {unicodedata.category(char) for char in printed.removesuffix("\n")} & CONTROLS


def test_moments_are_rfc_3339_in_utc() -> None:
    assert output.moment(None) is None
    assert output.moment(datetime(2026, 1, 5, 9, 0, 1, 999, tzinfo=UTC)) == "2026-01-05T09:00:01Z"
    assert output.moment(datetime(2026, 1, 5, 0, 30, tzinfo=timezone(timedelta(hours=2)))) == "2026-01-04T22:30:00Z"


def test_tables_are_aligned_and_numbers_stand_right(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("name", "#count"), [("a", "1"), ("a longer one\x1b[31m", "1000")])
    assert capsys.readouterr().out.splitlines() == ["name              count", "a                     1", "a longer one[31m   1000"]


def test_nothing_is_printed_for_no_rows(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("name", "#count"), [])
    assert capsys.readouterr().out == ""


def test_markup_in_a_cell_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("subject",), [("[red]Booking[/red] [link=https://example.com]x[/link]",)])
    assert "[red]Booking[/red] [link=https://example.com]x[/link]" in capsys.readouterr().out


def test_a_pipe_gets_whole_cells(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    output.table(("subject", "other"), [("x" * 400, "y" * 400)])
    assert "x" * 400 in capsys.readouterr().out


def test_errors_say_what_is_wrong_where_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    fault = Fault(file="accounts/sales.yaml", line=3, column=1, what="unknown key 'prot\x1b'")
    output.error(ConfigError("account sales is faulty", faults=[fault], advice="Correct it."))
    output.error(PermanentError("alone"))
    output.note("beside\nthe output")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "gatewayd: account sales is faulty",
        "  accounts/sales.yaml:3:1: unknown key 'prot'",
        "  Correct it.",
        "gatewayd: alone",
        "beside the output",
    ]


PART = Part(offset=0, length=1, type="application/pdf", encoding="base64", charset="")
FILING = FilingView(
    id=7,
    operator="acme",
    owner=None,
    account="reservations",
    folder="INBOX",
    key="7:12",
    message_id="<1@example.com>",
    sender="anna@example.com",
    sender_name="Anna",
    to=("reservations@example.com", "sales@example.com"),
    subject="Booking 756",
    sent_at=None,
    received_at=datetime(2026, 1, 5, 9, tzinfo=UTC),
    size=2048,
    digest=b"\0" * 32,
    direction="in",
    unread=True,
    attachments=(Attachment(name="voucher.pdf", type="application/pdf", size=10, part=PART),),
    links=(LinkView(kind="reservation", id="R9", label="B-756 Rome", by="reservations", because="booking code B-756"),),
    rivals=(RivalView(kind="customer", id="C1", label="Nord", by="contacts", because="two have it"),),
    faults=(FilingFault("vouchers", "ValueError: x"),),
    queue="front-office",
)


def test_a_filing_as_json_has_the_names_of_the_design() -> None:
    assert output.filing_row(FILING) == {
        "id": 7,
        "operator": "acme",
        "account": "reservations",
        "folder": "INBOX",
        "key": "7:12",
        "message_id": "<1@example.com>",
        "from": "anna@example.com",
        "to": ["reservations@example.com", "sales@example.com"],
        "subject": "Booking 756",
        "sent_at": None,
        "received_at": "2026-01-05T09:00:00Z",
        "size": 2048,
        "direction": "in",
        "unread": True,
        "attachments": [{"name": "voucher.pdf", "type": "application/pdf", "size": 10}],
        "links": [
            {"kind": "reservation", "id": "R9", "label": "B-756 Rome", "by": "reservations", "because": "booking code B-756"}
        ],
        "rivals": [{"kind": "customer", "id": "C1", "label": "Nord", "because": "two have it"}],
        "errors": [{"by": "vouchers", "error": "ValueError: x"}],
        "queue": "front-office",
    }


def test_what_a_filing_is_related_to_in_a_few_words() -> None:
    assert output.related(FILING) == "reservation B-756 Rome, 1 rivals"
