"""What commands print: text from mail can't command a terminal, tables are aligned, JSON has stable names."""

from __future__ import annotations

import io
import json
import sys
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd import Attachment, ConfigError, FilingFault, FilingView, LinkView, Part, PermanentError, RivalView, filing_row
from gatewayd.cli import output
from gatewayd.cli.mail import print_filings
from gatewayd.errors import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def test_fields_of_a_value_are_json_and_null_without_a_value() -> None:
    fault = FilingFault("contacts", "it failed")
    assert output.fields(fault, "by", "error") == {"by": "contacts", "error": "it failed"}
    assert output.fields(None, "by", "error") == {"by": None, "error": None}
    attachment = Attachment(name="a", type="b", size=1, part=PART)
    with pytest.raises(TypeError, match="has no JSON"):
        output.fields(attachment, "part")


def test_tables_are_aligned_and_numbers_stand_right(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("name", "#count"), [("a", "1"), ("a longer one\x1b[31m", "1000")])
    assert capsys.readouterr().out.splitlines() == ["name              count", "a                     1", "a longer one[31m   1000"]


def test_nothing_is_printed_for_no_rows(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("name", "#count"), [])
    assert capsys.readouterr().out == ""


def narrow(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *table: Any) -> list[str]:
    monkeypatch.setenv("COLUMNS", "80")
    output.table(*table)
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    return lines


def joined(lines: list[str], start: str, end: str) -> str:
    """The cell of one column, put together again from its lines."""
    left = lines[0].index(start)
    right = lines[0].index(end) if end else None
    return "".join(line[left:right].strip() for line in lines[1:])


LONG = "ValueError: cannot bear what the customer wrote " * 4


def test_at_80_columns_numbers_stay_whole_and_words_go_on_in_further_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = ("#id", "", "operator", "account", "received", "from", "subject", "related to", "queue")
    row = (
        "1234567",
        "*",
        "globetrot",
        "main",
        "2026-11-22 08:51",
        "Anna Svobodova",
        "s" * 60,
        "reservation B-756 Rome",
        "front: csv",
    )
    lines = narrow(capsys, monkeypatch, columns, [row])
    assert lines[1].startswith("1234567 *")
    cells = [joined(lines, one, end) for one, end in zip(columns[2:], [*columns[3:], ""], strict=True)]
    assert [cell.replace(" ", "") for cell in cells] == [cell.replace(" ", "") for cell in row[2:]]


@pytest.mark.parametrize(
    ("columns", "row", "whole"),
    [
        (("#id", "operator", "queue", "by", "error", "subject"), ("12", "acme", "errors", "vouchers", LONG, "s" * 40), "vouchers"),
        (("by", "said", "record", "because"), ("vouchers", "rivals", LONG, LONG), "rivals"),
        (("plugin", "source", "offers", "state"), ("vouchers", "/" + "x" * 90, "matchers: a, " * 9, LONG), "vouchers"),
    ],
)
def test_at_80_columns_no_column_is_lost(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    columns: tuple[str, ...],
    row: tuple[str, ...],
    whole: str,
) -> None:
    lines = narrow(capsys, monkeypatch, columns, [row])
    assert all(name.lstrip("#") in lines[0] for name in columns)
    assert whole in lines[1]
    assert lines[1].startswith(row[0]) or columns[0] == "#id"
    assert "\N{HORIZONTAL ELLIPSIS}" not in "".join(lines)
    assert sum(len(line.replace(" ", "")) for line in lines[1:]) == len("".join(row).replace(" ", "")), "text was cut"


def test_minutes_and_counts_as_people_read_them() -> None:
    assert output.minute(datetime(2026, 11, 22, 9, 51, 7, tzinfo=timezone(timedelta(hours=1)))) == "2026-11-22 08:51 UTC"
    assert output.minute(None) == ""
    assert [output.count(one, "fault") for one in (0, 1, 2)] == ["0 faults", "1 fault", "2 faults"]
    assert output.count(2, "directory", "directories") == "2 directories"


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
    output.error(PermanentError("alone"), account="main")
    output.note("beside\nthe output")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "gatewayd: account sales is faulty",
        "  accounts/sales.yaml:3:1: unknown key 'prot'",
        "  Correct it.",
        "gatewayd: main: alone",
        "beside the output",
    ]


PART = Part(offset=0, length=1, type="application/pdf", encoding="base64", charset="")

FILING = FilingView(
    id=7,
    operator="acme",
    user=None,
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
    assert filing_row(FILING) == {
        "id": 7,
        "operator": "acme",
        "account": "reservations",
        "folder": "INBOX",
        "key": "7:12",
        "message_id": "<1@example.com>",
        "from": "anna@example.com",
        "from_name": "Anna",
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
    assert output.related(FILING) == "reservation B-756 Rome, 1 rival"


def test_P8_of_a_long_list_one_line_of_json_at_a_time_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    printed = []

    def listed() -> Iterator[FilingView]:
        for number in range(3):
            yield replace(FILING, id=number)
            printed.append(json.loads(capsys.readouterr().out)["id"])

    print_filings(listed(), as_json=True)
    assert printed == [0, 1, 2]
