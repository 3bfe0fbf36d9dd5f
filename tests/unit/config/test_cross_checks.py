"""What the files of the config say of each other."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from gatewayd import config
from tests.unit.config.sound_folder import ACME, OUT, SALES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _lines(loaded: config.Config) -> list[str]:
    return [str(fault) for fault in loaded.faults]


_TARGET = "targets:\n  duty: {kind: post, account: %s, to: [duty@example.com]}\n"
_WHEN = "targets: {hook: {kind: bell, tune: x}}\nforward:\n  - {when: {account: %s}, to: hook}\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (_TARGET % "ot", "2:31: targets.duty.account: unknown account 'ot', did you mean 'out'?"),
        (_TARGET % "zzz", "2:31: targets.duty.account: unknown account 'zzz', expected 'other', 'out' or 'personal'"),
        (_TARGET % "sales", "2:31: targets.duty.account: account 'sales' sends nothing, expected 'other', 'out' or 'personal'"),
        (_TARGET % "nord", "2:31: targets.duty.account: account 'nord' does not serve operator 'acme', expected 'other', 'out' or 'personal'"),
        (_TARGET % "personal", "2:31: targets.duty.account: account 'personal' is irina's own, expected one with 'operators'"),
        (_TARGET % "other", "2:16: targets.duty.kind: expected 'parrot', the kind of account 'other', found 'post'"),
        (_WHEN % "sale", "3:22: forward[0].when.account: unknown account 'sale', did you mean 'sales'?"),
        (_WHEN % "[sales, out]", "3:30: forward[0].when.account[1]: account 'out' imports nothing, expected 'other' or 'sales'"),
        (_WHEN % "nord", "3:22: forward[0].when.account: account 'nord' does not serve operator 'acme', expected 'other' or 'sales'"),
    ],
)  # fmt: skip
def test_P4_what_an_operator_says_of_accounts_is_checked_and_costs_it_nothing_else(
    load: Callable[..., config.Config], text: str, line: str
) -> None:
    users = "users: {irina: {name: Irina Mari, email: irina@example.com}}\n"
    loaded = load(
        {
            "operators/acme.yaml": text + users,
            "accounts/nord.yaml": OUT.replace("acme]", "nord]"),
            "accounts/personal.yaml": OUT.replace("operators: [acme]", "user: acme/irina"),
            "accounts/other.yaml": SALES.replace("pigeon", "parrot") + "send: {from: {address: a@b.example}}\n",
        }
    )
    assert _lines(loaded) == [f"operators/acme.yaml:{line}"]
    acme = loaded.operators["acme"]
    assert (acme.faulty, len(acme.targets), len(acme.rules)) == (False, 1, int("forward" in text))
    assert loaded.digests["operators/acme.yaml"]
    assert loaded.standing_in == ()


def test_an_account_whose_import_is_left_out_for_now_may_stand_in_a_rule(load: Callable[..., config.Config]) -> None:
    assert load({"operators/acme.yaml": _WHEN % "sales"}).faults == ()


def test_of_a_faulty_account_only_its_own_faults_are_told(load: Callable[..., config.Config]) -> None:
    loaded = load({"accounts/out.yaml": OUT + "town2: x\n"})
    assert _lines(loaded) == ["accounts/out.yaml:6:1: unknown key 'town2', did you mean 'town'?"]


def test_a_faulty_operators_file_has_all_its_faults_told_at_once(load: Callable[..., config.Config]) -> None:
    loaded = load({"operators/acme.yaml": "titel: Acme\n" + _TARGET % "ot" + "forward: [{when: {account: zzz}, to: dutty}]\n"})
    assert [str(fault).split(":", 3)[1] for fault in loaded.faults] == ["1", "3", "4", "4"]


def test_odd_shapes_are_not_looked_into(load: Callable[..., config.Config]) -> None:
    for text in (
        "targets: [a]\nforward: [7, {when: 7, to: {}}]\n",
        "targets: {a: 7}\nforward: 7\n",
        "targets: {a: {kind: [post], account: out}}\n",
    ):
        assert load({"operators/acme.yaml": text}).operators["acme"].faulty


def test_checks_use_what_runs(load: Callable[..., config.Config], tmp_path: Path) -> None:
    first = load(load=config.running)
    assert first.faults == ()
    config.accept(first)
    out = OUT.replace("[acme]", "[nord]") + "town2: x\n"
    for previous in (None, first):
        loaded = load({"accounts/out.yaml": out}, load=lambda folder, registry: config.running(folder, previous, registry))  # noqa: B023
        assert [fault.file for fault in loaded.faults] == ["accounts/out.yaml"]
        assert loaded.accounts["out"] == first.accounts["out"]
    shutil.rmtree(tmp_path / "state")


_SYSTEM = OUT + "  system: true\n"


def test_one_system_account_an_operator(load: Callable[..., config.Config]) -> None:
    loaded = load(
        {
            "accounts/out.yaml": _SYSTEM,
            "accounts/a.yaml": _SYSTEM.replace("acme]", "nord]"),
            "accounts/z.yaml": "description: third\n" + _SYSTEM.replace("acme]", "acme, nord]"),
        }
    )
    what = "send.system: operator 'acme' has a system account already, in accounts/out.yaml:6: expected one"
    assert _lines(loaded) == [f"accounts/z.yaml:7:11: {what}"]
    assert sorted(loaded.accounts) == ["a", "out", "sales", "z"]


def test_the_first_system_account_by_name_is_the_first_of_the_config(load: Callable[..., config.Config]) -> None:
    """A name that another one begins with comes before it, though its file does not."""
    loaded = load({"accounts/out.yaml": _SYSTEM, "accounts/out-too.yaml": _SYSTEM})
    assert list(loaded.accounts) == ["out", "out-too", "sales"]
    assert [fault.file for fault in loaded.faults] == ["accounts/out-too.yaml"]


def test_no_more_than_one_fault_for_a_second_system_account(load: Callable[..., config.Config]) -> None:
    both = _SYSTEM.replace("acme]", "acme, nord]")
    assert len(_lines(load({"accounts/out.yaml": both, "accounts/z.yaml": both}))) == 1
    assert load({"accounts/out.yaml": both, "accounts/z.yaml": None, "operators/acme.yaml": ACME}).faults == ()
