"""Quotes that are none to YAML: word processors and keyboards make them of straight ones, and they would belong to the value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd.config import yaml_documents

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.config.yaml_documents import Document

#: As people of many languages put them, and what keyboards have beside the straight ones.
KINDS = [
    "\u2018Sent\u2019",
    "\u201cSent\u201d",
    "\u201aSent\u2018",
    "\u201eSent\u201c",
    "\u201eSent\u201d",
    "\u201dSent\u201d",
    "\u2019Sent\u2019",
    "\u201bSent\u2019",
    "\u201fSent\u201d",
    "\u00abSent\u00bb",
    "\u00bbSent\u00ab",
    "\u00bbSent\u00bb",
    "\u2039Sent\u203a",
    "\u203aSent\u2039",
    "\u00ab\u00a0Sent\u00a0\u00bb",
    "\u00b4Sent\u00b4",
    "\u2032Sent\u2032",
    "\u2033Sent\u2033",
    "\u300cSent\u300d",
    "\u300eSent\u300f",
    "\u301dSent\u301e",
    "\u301dSent\u301f",
    "\uff02Sent\uff02",
    "\uff07Sent\uff07",
    # A program that makes them while one types leaves the one that stood there before.
    '\u201cSent"',
    "\u201eSent'",
    "\u2018Sent`",
    "\u00b4Sent`",
]
WHAT = "typographic quotes, which belong to the value, expected ' or \""


def read(folder: Path, text: str) -> Document:
    (folder / "a.yaml").write_text(text, encoding="utf-8")
    return yaml_documents.read("a.yaml", folder=folder)


@pytest.mark.parametrize("value", KINDS)
def test_a_value_in_quotes_that_are_none_to_yaml_is_a_fault(tmp_path: Path, value: str) -> None:
    found = read(tmp_path, f"folder: {value}\nfolders: [{value}, INBOX]\npassword: !file {value}\nname: !credential {value}\n")
    assert [(fault.line, fault.column) for fault in found.faults] == [(1, 9), (2, 11), (3, 11), (4, 7)]
    assert {fault.what for fault in found.faults} == {WHAT}
    assert found.secrets == ()


@pytest.mark.parametrize("value", KINDS)
def test_in_straight_quotes_any_other_quotes_are_the_value(tmp_path: Path, value: str) -> None:
    written = value.replace("'", "''")
    found = read(tmp_path, f"folder: '{written}'\n")
    assert (found.data, found.faults) == ({"folder": value}, ())


@pytest.mark.parametrize(
    "value",
    [
        "\u2019s-Hertogenbosch",
        "Anna\u2019s",
        "the \u201cbig\u201d one",
        "\u201cBig\u201d ones",
        "5\u2032",
        "\u00bb",
        "\u00b4",
        "Boys\u2019",
    ],
)
def test_a_quote_within_or_at_one_end_is_a_letter_like_others(tmp_path: Path, value: str) -> None:
    found = read(tmp_path, f"folder: {value}\n")
    assert (found.data, found.faults) == ({"folder": value}, ())
