"""What a new config changes, and what code and options ran."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ConfigDict

from gatewayd import config
from gatewayd.api.options import Secret
from gatewayd.api.roles import Matcher
from gatewayd.api.values import Action
from gatewayd.registry import loading

if TYPE_CHECKING:
    from collections.abc import Callable

_FAKES = Path(__file__).parent / "config_plugins" / "fakes.py"
_MAIN = "state: state\nplugins: {folder: plugins}\nstore: {kind: paper}\n"
_ACME = "directory: {kind: cards, folder: cards}\nmatchers: [names, numbers: {digits: [4, 5]}]\n"
_NORD = "directory: {kind: cards, folder: cards}\nmatchers: [extra]\n"
_SALES = "kind: pigeon\noperators: [acme]\nloft: roof\nring: !env RING\n"
_EXTRA = """
from gatewayd import Matcher, hookimpl

class Extra(Matcher):
    kind = "extra"
    def match(self, mails, directory):
        return []

@hookimpl
def gatewayd_matchers():
    return [Extra]
"""


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., config.Config]:
    """Load a folder of sound files after these were written into it; None removes one."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)

    def loaded(**files: str | None) -> config.Config:
        for name, text in files.items():
            folder, _, stem = name.partition("_")
            path = tmp_path / (f"{folder}/{stem}.{'py' if folder == 'plugins' else 'yaml'}" if stem else f"{folder}.yaml")
            path.parent.mkdir(exist_ok=True)
            path.unlink(missing_ok=True) if text is None else path.write_text(text)
        found = config.load(tmp_path)
        assert found.faults == ()
        return found

    (tmp_path / "plugins").mkdir()
    shutil.copy(_FAKES, tmp_path / "plugins")
    loaded(
        gatewayd=_MAIN,
        plugins_extra=_EXTRA,
        operators_acme=_ACME,
        operators_nord=_NORD,
        accounts_sales=_SALES,
        accounts_nord=_SALES.replace("acme", "nord"),
    )
    return loaded


def test_nothing_changes_where_nothing_means_anything_else(load: Callable[..., config.Config]) -> None:
    old = load()
    block = "directory:\n  folder: cards\n  kind: cards\nmatchers:\n  - names\n  - numbers:\n      digits: [4, 5]\n"
    new = load(accounts_sales=f"# sold\n{_SALES}", operators_acme=block)
    assert config.changes(old, new) == config.Changes()


def test_accounts_that_are_new_gone_and_different(load: Callable[..., config.Config]) -> None:
    old = load()
    new = load(accounts_sales=_SALES + "height: 2\n", accounts_nord=None, accounts_info=_SALES, accounts_a=_SALES)
    found = config.changes(old, new)
    assert found == config.Changes(accounts_added=("a", "info"), accounts_removed=("nord",), accounts_changed=("sales",))
    back = config.changes(new, old)
    assert (back.accounts_added, back.accounts_removed, back.accounts_changed) == (("nord",), ("a", "info"), ("sales",))


@pytest.mark.parametrize(
    "text",
    [_ACME.replace("5", "6"), f"title: Acme\n{_ACME}", _ACME.replace("folder: cards", "folder: c"), _ACME.replace("names, ", "")],
)
def test_an_operator_that_is_different_leaves_its_accounts_as_they_are(load: Callable[..., config.Config], text: str) -> None:
    old = load()
    assert config.changes(old, load(operators_acme=text)) == config.Changes(operators_changed=("acme",))


def test_operators_that_are_new_or_gone(load: Callable[..., config.Config]) -> None:
    old = load(accounts_nord=None)
    new = load(operators_nord=None, operators_sud="title: Sud\n")
    assert config.changes(old, new) == config.Changes(operators_changed=("nord", "sud"))


def test_an_operator_that_turns_faulty_has_changed(load: Callable[..., config.Config], tmp_path: Path) -> None:
    old = load()
    (tmp_path / "operators" / "acme.yaml").write_text("titel: Acme\n")
    assert config.changes(old, config.load(tmp_path)).operators_changed == ("acme",)


def test_code_that_changed_touches_who_uses_it_though_its_options_are_equal(load: Callable[..., config.Config]) -> None:
    old = load()
    new = load(plugins_extra=_EXTRA.replace("[]", "()"))
    assert old.operators == new.operators
    assert config.changes(old, new) == config.Changes(operators_changed=("nord",))


def test_a_transports_code_that_changed_touches_its_accounts_and_a_stores_waits(load: Callable[..., config.Config]) -> None:
    old = load()
    new = load(plugins_fakes=_FAKES.read_text() + "\n")
    found = config.changes(old, new)
    assert found.accounts_changed == ("nord", "sales")
    assert found.operators_changed == ("acme", "nord")
    assert found.restart == ("store",)


def test_plugins_that_are_loaded_again_unchanged_touch_nobody(load: Callable[..., config.Config]) -> None:
    other = (
        "from gatewayd import Matcher, hookimpl\n\n\nclass Other(Matcher):\n    kind = 'other'\n\n"
        "    def match(self, mails, directory):\n        return []\n\n\n@hookimpl\ndef gatewayd_matchers():\n    return [Other]\n"
    )
    old, new = load(), load(plugins_other=other)
    assert old.registry is not new.registry
    assert config.changes(old, new) == config.Changes()


def test_state_and_store_wait_for_a_restart_and_the_rest_does_not(load: Callable[..., config.Config], tmp_path: Path) -> None:
    old = load()
    new = load(gatewayd="state: other\nplugins: {folder: plugins}\nlimits: {visits: 3}\n")
    assert config.changes(old, new) == config.Changes(restart=("state", "store", "limits"))
    kept = config.kept(old, new)
    assert (kept.state, kept.store_kind, kept.store_options) == (tmp_path / "state", "paper", old.store_options)
    assert kept.limits == old.limits
    assert config.changes(old, kept).restart == ()


def test_the_folders_that_make_the_config_are_watched(load: Callable[..., config.Config], tmp_path: Path) -> None:
    assert config.watched(load()) == (tmp_path, tmp_path / "operators", tmp_path / "accounts", tmp_path / "plugins")
    shutil.rmtree(tmp_path / "accounts")
    bare = load(gatewayd="state: state\n", operators_acme="{}\n", operators_nord="{}\n")
    assert config.watched(bare) == (tmp_path, tmp_path / "operators")
    inside = load(gatewayd="state: state\nplugins: {folder: operators}\n")
    assert config.watched(inside) == (tmp_path, tmp_path / "operators")


def test_a_fingerprint_for_each_matcher_and_the_directory(load: Callable[..., config.Config]) -> None:
    old = load()
    found = config.fingerprint_of(old.operators["acme"], old.registry)
    assert sorted(found) == ["directory", "names", "numbers"]
    assert len(set(found.values())) == 3
    assert all(len(one) == 64 for one in found.values())
    bare = load(operators_acme="title: Acme\n")
    assert config.fingerprint_of(bare.operators["acme"], bare.registry) == {}


@pytest.mark.parametrize(
    ("text", "differ"),
    [
        (_ACME, set()),
        (_ACME + "users: {irina: {name: Irina Mari, email: irina@example.com}}\n", set()),
        (_ACME.replace("5", "6"), {"numbers"}),
        (f"brands: [DB1]\n{_ACME}", {"names", "numbers"}),
        (f"title: Acme\n{_ACME}", {"names", "numbers"}),
        (_ACME.replace("folder: cards", "folder: c"), {"directory", "names", "numbers"}),
    ],
)
def test_what_a_fingerprint_hangs_on(load: Callable[..., config.Config], text: str, differ: set[str]) -> None:
    old = load()
    new = load(operators_acme=text)
    before, after = (config.fingerprint_of(one.operators["acme"], one.registry) for one in (old, new))
    assert {kind for kind in before if before[kind] != after[kind]} == differ


def test_a_fingerprint_hangs_on_code(load: Callable[..., config.Config]) -> None:
    old = load()
    new = load(plugins_extra=_EXTRA.replace("[]", "()"))
    before, after = (config.fingerprint_of(one.operators["nord"], one.registry) for one in (old, new))
    assert before["directory"] == after["directory"]
    assert before["extra"] != after["extra"]
    again = load(plugins_extra=_EXTRA)
    assert config.fingerprint_of(again.operators["nord"], again.registry) == before


class _Odd(Matcher.Options):
    """Options of every sort."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    words: frozenset[str] = frozenset(f"word {number}" for number in range(20))
    table: dict[str, int] = {"b": 1, "a": 2}  # noqa: RUF012  pydantic copies it
    secret: Secret = Secret("env", "RING")
    action: Action = Action(do="move", folder="Done")
    thing: object = object()
    text: str = "\ud800"
    kinds: tuple[int | None, ...] = (1, None)


def _odd(**changed: Any) -> str:
    return config.fingerprint_of(
        config.OperatorConfig(name="acme", matchers=(("odd", _Odd.model_construct(**changed)),)),
        loading.Registry(plugins=(), _classes={}),
    )["odd"]


def test_P9_a_fingerprint_is_the_same_in_every_process_and_does_not_read_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Path(__file__)
    code = f"import sys; sys.path.insert(0, {str(here.parent)!r}); import {here.stem} as me; print(me._odd())"
    others = [
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout.strip()
        for seed in ("1", "2")
    ]
    monkeypatch.setenv("RING", "hunter2")
    assert others == [_odd(), _odd()]


@pytest.mark.parametrize(
    "changed",
    [
        {"words": frozenset({"word"})},
        {"table": {"a": 1, "b": 2}},
        {"secret": Secret("env", "RONG")},
        {"action": Action(do="seen")},
        {"kinds": (None, 1)},
    ],
)
def test_a_fingerprint_hangs_on_options_of_every_sort(changed: dict[str, object]) -> None:
    assert _odd(**changed) != _odd()


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(_VALUES, _VALUES)
def test_fingerprints_are_equal_exactly_where_options_are(one: object, other: object) -> None:
    equal = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (_odd(thing=one) == _odd(thing=other)) == equal


def test_what_is_not_offered_has_no_fingerprint() -> None:
    assert loading.load().fingerprint(Matcher, "nothing-of-this-name") == ""
