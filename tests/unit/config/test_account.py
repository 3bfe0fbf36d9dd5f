"""Accounts: what they may do, send and know of where it is said."""

from __future__ import annotations

from datetime import time
from typing import TYPE_CHECKING

import pytest

from gatewayd import config
from gatewayd.message.values import Address
from gatewayd.runtime.times_of_day import TimesOfDay
from tests.unit.config.sound_folder import MAIN, OUT, SALES

if TYPE_CHECKING:
    from collections.abc import Callable


def _lines(loaded: config.Config) -> list[str]:
    return [str(fault) for fault in loaded.faults]


def test_an_account_that_only_sends(load: Callable[..., config.Config]) -> None:
    loaded = load()
    out = loaded.accounts["out"]
    assert (out.kind, out.operators, out.user, out.imports, out.connections) == ("post", ("acme",), None, None, 2)
    assert dict(out.options) == {"town": "Rome"}
    assert out.sends == config.SendConfig.model_validate({"from": {"name": "Acme", "address": "out@acme.example"}})
    assert out.sends.sender == Address(name="Acme", email="out@acme.example")
    assert loaded.accounts["sales"].sends is None
    assert loaded.faults == ()


def test_each_rule_of_an_account_knows_where_it_is_said(load: Callable[..., config.Config]) -> None:
    more = "  cc: false\n  bcc: false\n\n  match: true\n  docx: true\n  system: true\n  max_bytes: 2048\n"
    out = load({"accounts/out.yaml": OUT + more}).accounts["out"]
    sends = out.sends
    assert sends
    assert (sends.cc, sends.bcc, sends.match, sends.docx, sends.system, sends.max_bytes) == (False, False, True, True, True, 2048)
    lines = {"from": 5, "cc": 6, "bcc": 7, "match": 9, "docx": 10, "system": 11, "max_bytes": 12}
    assert out.sends_lines == {name: f"accounts/out.yaml:{line}" for name, line in lines.items()}


def test_what_is_not_said_stands_where_the_block_does(load: Callable[..., config.Config]) -> None:
    out = load({"accounts/out.yaml": OUT + "  docx: true\n"}).accounts["out"]
    assert {name: int(where.rpartition(":")[2]) for name, where in out.sends_lines.items()} == {
        **dict.fromkeys(("system", "match", "cc", "bcc", "max_bytes"), 5),
        "from": 5,
        "docx": 6,
    }


def test_a_kind_that_imports_and_sends_may_do_either_or_both(load: Callable[..., config.Config]) -> None:
    parrot = SALES.replace("pigeon", "parrot")
    send = "send: {from: {address: a@acme.example}}\n"
    loaded = load(
        {
            "accounts/a.yaml": parrot + "import: {}\n" + send + "forward: {}\n",
            "accounts/b.yaml": parrot + "import: {}\n",
            "accounts/c.yaml": parrot + send,
        }
    )
    assert loaded.faults == ()
    does = {name: (one.imports is not None, one.sends is not None) for name, one in loaded.accounts.items() if one.kind == "parrot"}
    assert does == {"a": (True, True), "b": (True, False), "c": (False, True)}
    # As the plugins say: only who imports has a group, and only who sends has modes.
    groups = {name: loaded.accounts[name].group for name in ("a", "b", "c", "sales")}
    assert groups == {"a": "parrots", "b": "parrots", "c": "", "sales": ""}
    ways = {name: loaded.accounts[name].modes for name in ("a", "c", "out", "sales")}
    assert ways == {"a": ("attached", "as is"), "c": ("attached", "as is"), "out": ("attached", "inline", "as is"), "sales": ()}


def test_a_kind_whose_two_plugins_take_different_options_is_refused(load: Callable[..., config.Config]) -> None:
    loaded = load({"accounts/sales.yaml": SALES.replace("pigeon", "goose")})
    what = "the transport and the forwarder 'goose' don't have the same options: their plugins don't fit"
    assert f"accounts/sales.yaml:1:7: {what}" in _lines(loaded)
    assert "sales" not in loaded.accounts


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (SALES + "send: {from: {address: a@b.example}}\n", ["5:1: send: pigeon only imports, expected an account of its own that sends: of kind 'goose', 'parrot' or 'post'"]),
        (OUT + "import: {}\n", ["6:1: import: post only sends, expected it in the file of an account that imports"]),
        (OUT + "forward: {approved: []}\n", ["6:1: forward: post only sends, expected it in the file of an account that imports"]),
        (OUT.partition("send:")[0], ["1:1: missing key 'send', expected it where the kind is post, which only sends"]),
        (OUT.replace("kind: post", "kind: bell"), ["1:7: unknown transport or forwarder of mail 'bell', expected 'goose', 'heron', 'parrot', 'pigeon' or 'post'"]),
        (OUT.replace("kind: post", "kind: pst"), ["1:7: unknown transport or forwarder 'pst', did you mean 'post'?"]),
        (OUT.replace("operators: [acme]", "user: acme/irina") + "  system: true\n", ["6:11: send.system: expected false in a personal account: it sends for its user alone"]),
        (OUT.replace("out@acme.example", "Out <out@acme.example>"), ["5:31: send.from.address: expected a mail address such as irina@example.com"]),
        (OUT + "  max_bytes: 10\n", ["6:14: send.max_bytes: expected at least 1024, found 10"]),
        (OUT + "  allow_cc: true\n", ["6:3: unknown key 'send.allow_cc', expected 'bcc', 'cc', 'docx', 'from', 'match', 'max_bytes' or 'system'"]),
        (OUT.replace("from: {name: Acme, address: out@acme.example}", "system: false"), ["5:3: missing key 'send.from'"]),
        (OUT + "towm: Rome\n", ["6:1: unknown key 'towm', did you mean 'town'?"]),
    ],
)  # fmt: skip
def test_what_an_account_can_not_do_is_a_fault(load: Callable[..., config.Config], text: str, lines: list[str]) -> None:
    loaded = load({"accounts/new.yaml": text})
    assert _lines(loaded) == [f"accounts/new.yaml:{line}" for line in lines]
    assert "new" not in loaded.accounts


def test_a_personal_account_may_send(load: Callable[..., config.Config]) -> None:
    irina = load({"accounts/irina.yaml": OUT.replace("operators: [acme]", "user: acme/irina")}).accounts["irina"]
    assert (irina.operators, irina.user) == (("acme",), "irina")
    assert irina.sends


def test_times_of_day_are_in_the_accounts_zone_or_that_of_the_whole(load: Callable[..., config.Config]) -> None:
    at = 'import: {at: ["12:30", "07:00"]}\n'
    files = {
        "gatewayd.yaml": f"{MAIN}time_zone: Europe/Berlin\n",
        "accounts/a.yaml": SALES + at,
        "accounts/b.yaml": SALES + at + "time_zone: America/New_York\n",
        "accounts/c.yaml": SALES + "import: {every: 60s}\ntime_zone: America/New_York\n",
    }
    loaded = load(files)
    times = (time(12, 30), time(7))
    assert loaded.faults == ()
    assert loaded.accounts["a"].at == TimesOfDay(times, "Europe/Berlin")
    assert loaded.accounts["b"].at == TimesOfDay(times, "America/New_York")
    assert loaded.accounts["c"].at is None
    # Without a word it is UTC; and another zone changes only the accounts that it matters to.
    other = load({**files, "gatewayd.yaml": MAIN})
    assert other.accounts["a"].at == TimesOfDay(times, "UTC")
    assert [name for name in "abc" if other.accounts[name] == loaded.accounts[name]] == ["b", "c"]


def test_all_operators_are_those_that_receive(load: Callable[..., config.Config]) -> None:
    every = {"accounts/sales.yaml": SALES.replace("[acme]", "all")}
    assert load(every).accounts["sales"].operators == ("acme", "nord")
    silent = load({**every, "operators/nord.yaml": "receive: false\n"})
    assert (silent.accounts["sales"].operators, silent.faults) == (("acme",), ())
    named = load({"accounts/sales.yaml": SALES.replace("[acme]", "[nord]"), "operators/nord.yaml": "receive: false\n"})
    assert named.accounts["sales"].operators == ("nord",), "an account may name it"
    called = load({"accounts/sales.yaml": SALES.replace("[acme]", "[all]"), "operators/all.yaml": "title: All\n"})
    assert called.accounts["sales"].operators == ("all",), "in a list it is a name"


def test_P6_all_operators_have_none_among_them_whose_file_says_no_or_nothing(load: Callable[..., config.Config]) -> None:
    """Its file is faulty, and was never sound."""
    every = {"accounts/sales.yaml": SALES.replace("[acme]", "all")}
    for text, serves in (("receive: false\nbrand: x\n", False), ("receive: {\n", False), ("brand: x\n", True)):
        loaded = load({**every, "operators/nord.yaml": text})
        assert ("nord" in loaded.accounts["sales"].operators) == serves, text
