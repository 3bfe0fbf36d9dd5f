"""Names of folders as they are shown: whoever copies one into the config has the folder that was meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gatewayd import Action, PermanentError
from gatewayd.config import yaml_documents
from gatewayd_imap.folder_names import in_quotes, in_yaml
from tests.plugins.imap_script import Script, session

if TYPE_CHECKING:
    from pathlib import Path

#: Names that say something else in YAML than they are, or nothing at all.
ODD = [
    "a\\b",
    "it's",
    'say "so"',
    "ends ",
    " begins",
    "two  blanks",
    "bell\x07",
    '\\ and " and bell\x07',
    "line\nend",
    "\x7f",
    "\x85",
    "\u2028",
    "\xa0",
    "\ufeff",
    "\u202e",
    "\ufffe",
    "\U0001f600\x07",
    "\U000e0041",
    "yes",
    "No",
    "y",
    "null",
    "~",
    "True",
    "on",
    "1",
    "1e3",
    "0x1F",
    "12:30",
    ".inf",
    ".nan",
    "- a",
    "-",
    "#",
    "a #b",
    "a: b",
    "a:",
    "[a]",
    "a, b",
    "{a}",
    "&a",
    "*a",
    "!a",
    "|",
    ">",
    "%a",
    "@a",
    "`a`",
    "?",
    "=",
    "<<",
    "---",
    "...",
    "2026-01-01",
    "\u201etypographic\u201c",
    "Entw\xfcrfe & Co/\u65e5\u672c",
    "Sent Mail",
    "INBOX.Done",
    "",
]


def expect_as_shown(name: str, folder: Path) -> None:
    """Assert that a name is shown on one line, and that YAML and the config read it as it is."""
    for shown in (in_yaml(name), in_quotes(name)):
        assert shown.isprintable()
        text = f"folders: [{shown}, INBOX]\nafter:\n  move: {shown}\n"
        means = {"folders": [name, "INBOX"], "after": {"move": name}}
        assert yaml.safe_load(text) == means
        (folder / "names.yaml").write_text(text, encoding="utf-8")
        found = yaml_documents.read("names.yaml", folder=folder)
        assert (found.data, found.faults) == (means, ())


@pytest.mark.parametrize("name", ODD)
def test_an_odd_name_is_shown_as_yaml_reads_it(tmp_path: Path, name: str) -> None:
    expect_as_shown(name, tmp_path)


@given(st.text(max_size=30) | st.text(alphabet="\\'\"~#-:,[]{}!& \t\nayn0.\x7f\U0001f600", max_size=6))
def test_whatever_a_name_is_it_is_shown_as_yaml_reads_it(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    expect_as_shown(name, tmp_path_factory.getbasetemp())


def test_a_plain_name_has_no_quotes_where_it_needs_none() -> None:
    assert [in_yaml(name) for name in ("INBOX", "Sent Mail", "INBOX.Done", "a/b-c_1")] == [
        "INBOX",
        "Sent Mail",
        "INBOX.Done",
        "a/b-c_1",
    ]
    assert [in_quotes(name) for name in ("INBOX", "it's", "a\\b")] == ["'INBOX'", "'it''s'", "'a\\b'"]


NOWHERE = b"TAG NO [NONEXISTENT] no such mailbox\r\n"


def test_check_online_shows_folders_as_the_config_must_name_them(tmp_path: Path) -> None:
    listed = b'* LIST () "/" "a\\\\b"\r\n* LIST () "/" "ends "\r\n* LIST () "/" yes\r\n* LIST () "/" INBOX\r\n'
    with session(Script({"EXAMINE": NOWHERE, "LIST": listed}), tmp_path) as opened:
        (found,) = opened.problems(["x\\y "], None)
    there = "the server has INBOX, 'a\\b', 'ends ', 'yes'"
    assert found == f"there is no folder 'x\\y ' that can be opened; {there}: correct `folders`"


def test_errors_show_folders_as_the_config_must_name_them(tmp_path: Path) -> None:
    script = Script({"EXAMINE": NOWHERE, "UID MOVE": b"TAG NO [TRYCREATE] no such mailbox\r\n"})
    with session(script, tmp_path) as opened:
        with pytest.raises(PermanentError, match=r"folder 'a\\b' can't be opened") as unopened:
            list(opened.listing("a\\b", None))
        assert "correct `folders`" in unopened.value.advice
        with pytest.raises(PermanentError, match=r"can't move to 'a\\b'$") as caught:
            opened.settle("INBOX", ["7:1"], Action(do="move", folder="a\\b"))
    assert caught.value.advice == "Make the folder 'a\\b' on the server, or correct `after`."
