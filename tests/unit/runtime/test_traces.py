"""Where an error was raised: at the author's own line, whatever it went through."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

from gatewayd.api.roles import Matcher, Operator
from gatewayd.registry import loading
from gatewayd.registry.guarded_directory import GuardedDirectory
from gatewayd.runtime.traces import Spot, said, spot, trace, where
from gatewayd.testing import FakeDirectory, make_mail

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.message.mail import Mail

_HEAD = """
import json
from gatewayd import Matcher, Record, decide, hookimpl

class Mine(Matcher):
    kind = "mine"

    def match(self, mails, directory):
"""
_TAIL = """
@hookimpl
def gatewayd_matchers():
    return [Mine]
"""


def _raised(folder: Path, does: str) -> Exception:
    """What a matcher of a single file raises; what it does stands in line 9."""
    (folder / "mine.py").write_text(f"{_HEAD}        {does}\n{_TAIL}")
    matcher = loading.load(folder).get(Matcher, "mine")(Matcher.Options(), operator=Operator(name="acme"))
    mails: tuple[Mail, ...] = (make_mail(),)
    with pytest.raises(Exception) as caught:  # noqa: PT011  any
        list(matcher.match(mails, GuardedDirectory(FakeDirectory())) or ())
    return caught.value


@pytest.mark.parametrize(
    ("does", "error"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("json.loads('{')", "JSONDecodeError: "),
        ("decide(1, [7], because='x')", "AttributeError: 'int' object has no attribute 'kind'"),
        ("next(mails[0].attachment(9))", "IndexError: "),
        ("exec('x = = 1')", "SyntaxError: invalid syntax"),
        ("directory.reservations('TRIP-1')", "TypeError: reservations was asked for 'TRIP-1', expected a collection of texts"),
        ("directory.find('ship', 'id', {'1'})", "ValueError: find was asked for the kind 'ship', expected person or customer"),
        ("__import__('gatewayd_nothing_like_it')", "ModuleNotFoundError: "),
    ],
)
def test_an_error_is_placed_at_the_authors_own_line(tmp_path: Path, does: str, error: str) -> None:
    raised = _raised(tmp_path, does)
    assert where(raised).startswith(error)
    assert where(raised).endswith("(mine.py:9)")
    at = spot(raised)
    assert at is not None
    assert at.column >= 9


def test_the_trace_begins_where_the_plugin_does(tmp_path: Path) -> None:
    text = trace(_raised(tmp_path, "json.loads('{')"))
    assert text.splitlines()[1].strip().endswith('mine.py", line 9, in match')
    assert "decoder.py" in text
    assert "test_traces.py" not in text


class _Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (_Mute(), "_Mute"),
        (ValueError("a\nb\0c\ud800d\u202ee"), "ValueError: a b\ufffdc\ufffdd"),
        (ValueError("x" * 10_000_000), "ValueError: " + "x" * 100),
    ],
)
def test_whatever_its_text_is_an_error_is_one_short_line_that_can_be_kept(error: Exception, text: str) -> None:
    assert said(error).startswith(text)
    assert len(said(error)) <= 500
    assert where(error) == said(error)
    assert trace(error)
    said(error).encode()


def test_a_syntax_error_is_placed_where_it_stands(tmp_path: Path) -> None:
    source = textwrap.dedent("x = 1\n" * 16 + "y = = 2\n")
    with pytest.raises(SyntaxError) as caught:
        compile(source, str(tmp_path / "mine.py"), "exec")
    at = spot(caught.value)
    assert at is not None
    assert (str(at), at.column) == ("mine.py:17", 5)


def test_of_an_error_of_a_whole_file_neither_line_nor_column_is_told(tmp_path: Path) -> None:
    path = tmp_path / "latin.py"
    with pytest.raises(SyntaxError) as caught:
        compile(b"# coding: nonsense\n", str(path), "exec")
    assert spot(caught.value) == Spot(str(path))
    assert where(caught.value) == "SyntaxError: unknown encoding: nonsense (latin.py)"
