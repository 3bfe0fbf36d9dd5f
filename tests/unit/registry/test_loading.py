"""Discovery: each plugin in a guard of its own, kinds unique, faults named."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from gatewayd.api.roles import Matcher, Transport
from gatewayd.errors import PluginError
from gatewayd.registry import discovery, loading, own_plugins
from gatewayd.registry.offers import offered
from gatewayd.runtime.traces import where

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GOOD = """
from gatewayd import Matcher, hookimpl

class Vouchers(Matcher):
    kind = "vouchers"
    def match(self, mails, directory):
        return []

@hookimpl
def gatewayd_matchers():
    return [Vouchers]
"""


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(text))
    return folder


def loaded(registry: loading.Registry, name: str) -> loading.LoadedPlugin:
    return next(plugin for plugin in registry.plugins if plugin.name == name)


def test_own_plugins_are_found_by_entry_point() -> None:
    registry = loading.load()
    assert {"imap", "pop3"} <= set(registry.kinds(Transport))
    assert {"contacts", "reservations"} <= set(registry.kinds(Matcher))
    assert all(not plugin.error for plugin in registry.plugins)


def test_own_plugins_offer_what_is_written_down_of_them_and_are_sound() -> None:
    own = [found for found in discovery.installed() if found.own]
    found = {one.name: offered(one.name, one.load()) for one in own}
    assert {name: one.words for name, one in found.items()} == own_plugins.OFFERS
    assert {kind for one in found.values() for kind in one.sending} == own_plugins.SENDING
    assert set(loading.load().sending()) == own_plugins.SENDING


def test_no_plugin_of_gatewayds_own_is_imported_before_something_of_it_is_asked_for() -> None:
    code = """if True:
        import sys
        from gatewayd.api.roles import Matcher, Transport
        from gatewayd.registry import loading
        registry = loading.load()
        assert "imap" in registry.kinds(Transport)
        before = {name for name in sys.modules if name.startswith("gatewayd_")}
        registry.get(Transport, "imap")
        print(sorted(before), "gatewayd_imap" in sys.modules, "gatewayd_pop3" in sys.modules)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[] True False\n"


def test_single_file_is_a_plugin(tmp_path: Path) -> None:
    registry = loading.load(write(tmp_path, mine=GOOD))
    assert loaded(registry, "mine").offers == (("matchers", "vouchers"),)
    assert registry.get(Matcher, "vouchers").kind == "vouchers"


#: What is wrong with a file, and how that is told.
FAULTY = [
    ("1/0", "ZeroDivisionError: division by zero (bad.py:1)"),
    ("import nothing_of_this_name", "ModuleNotFoundError"),
    ("x = 1\nthis is no python", "SyntaxError: invalid syntax (bad.py:2)"),
    ("def broken(:\n", "(bad.py:1)"),
    ("def match(): pass", "it offers nothing: expected a function marked @hookimpl, such as gatewayd_matchers"),
    ("from gatewayd import hookimpl\n@hookimpl\ndef gatewayd_matchers():\n    return []", "it offers nothing"),
    (
        "from gatewayd import hookimpl\n@hookimpl\ndef gatewayd_matchers(): pass",
        "gatewayd_matchers must return a list of classes",
    ),
    (
        "from gatewayd import hookimpl\n@hookimpl\ndef gatewayd_matchers():\n    return 7",
        "gatewayd_matchers must return a list of",
    ),
    (
        "from gatewayd import hookimpl\n@hookimpl\ndef gatewayd_stores():\n    return 'x'",
        "gatewayd_stores must return a list of",
    ),
    ("import gatewayd.testing.nothing_here", "(bad.py:1)"),
    ("from gatewayd import Record, cut_off_here", "(bad.py:1)"),
    ("from gatewayd import hookimpl\n@hookimpl\ndef something():\n    return []", "expected one of gatewayd_transports, "),
    ("raise SystemExit(3)", "it exits when it is imported: 3"),
    ("from gatewayd import hookimpl\n@hookimpl\ndef gatewayd_matchrs():\n    return []", "did you mean gatewayd_matchers?"),
    ("from gatewayd import hookimpl\n@hookimpl\ndef gatewayd_matchers(config):\n    return []", "config"),
    (
        "from gatewayd import hookimpl\n@hookimpl\ndef gatewayd_matchers():\n    return [1]",
        "1 is no class derived from Matcher",
    ),
    ("from gatewayd import hookimpl\n@hookimpl\ndef gatewayd_matchers():\n    raise KeyError('x')", "KeyError: 'x'"),
    (GOOD.replace('"vouchers"', '"V 1"'), "expected a word such as 'vouchers'"),
    (GOOD.replace("def match(", "def mtch("), "Vouchers lacks match"),
    (GOOD.replace("    kind", "    class Options: pass\n    kind"), "Options is not derived from Matcher.Options"),
    (GOOD.replace('"vouchers"', '"contacts"'), "which contacts (gatewayd"),
]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> loading.Registry:
    texts = {f"bad{number}": text for number, (text, _) in enumerate(FAULTY)}
    return loading.load(write(tmp_path_factory.mktemp("faulty"), good=GOOD.replace("vouchers", "others"), **texts))


@pytest.mark.parametrize("number", range(len(FAULTY)))
def test_P4_faulty_plugin_is_out_of_use_and_no_other(faulty: loading.Registry, number: int) -> None:
    assert FAULTY[number][1].replace("bad.py", f"bad{number}.py") in loaded(faulty, f"bad{number}").error
    assert not loaded(faulty, "good").error
    assert "others" in faulty.kinds(Matcher)


def test_two_plugins_of_one_kind_are_a_fault_that_names_both(tmp_path: Path) -> None:
    registry = loading.load(write(tmp_path, first=GOOD, second=GOOD))
    assert not loaded(registry, "first").error
    error = loaded(registry, "second").error
    assert "matcher 'vouchers'" in error
    assert "first" in error


def test_unknown_kind_names_what_is_out_of_use(tmp_path: Path) -> None:
    registry = loading.load(write(tmp_path, bad="1/0"))
    with pytest.raises(PluginError, match=r"no plugin offers the matcher 'vouchers' \(out of use: bad\)"):
        registry.get(Matcher, "vouchers")


def test_plugin_that_exits_while_loading_does_not_end_the_process(tmp_path: Path) -> None:
    registry = loading.load(write(tmp_path, bad="import sys\nsys.exit(0)"))
    assert "exits" in loaded(registry, "bad").error


def test_missing_folder_is_no_plugins(tmp_path: Path) -> None:
    assert loading.load(tmp_path / "none").kinds(Matcher) == loading.load().kinds(Matcher)


def test_an_error_is_placed_in_the_plugin_and_not_in_what_called_it_or_helped_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("import importlib\n\ndef work():\n    importlib.import_module('gatewayd_nothing_like_it')\n")
    names: dict[str, Callable[[], None]] = {}
    exec(compile(path.read_text(), path, "exec"), names)
    with pytest.raises(ModuleNotFoundError) as caught:
        names["work"]()
    assert where(caught.value).endswith("(mine.py:4)")
    assert where(ValueError("never raised")) == "ValueError: never raised"
