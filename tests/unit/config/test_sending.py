"""Accounts that send, targets and forward rules: what their files say, and what files say of each other."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatewayd import Forwarder, Store, Transport, config
from gatewayd.api.options import Secret
from gatewayd.config.models.operator import RuleConditions
from gatewayd.config.rules import Rule
from gatewayd.config.values import TargetConfig
from gatewayd.message.values import Address
from gatewayd.registry import loading

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gatewayd.api.roles import Plugin

_PLUGINS = Path(__file__).parent / "config_plugins"
_MAIN = "state: state\nstore: {kind: paper}\n"
_ACME = """\
users: {irina: {name: Irina Mari, email: irina@example.com}}
targets:
  duty: {kind: post, account: out, to: [duty@example.com, Desk@Example.com], mode: inline}
  hook: {kind: bell, tune: loud, key: !env KEY}
forward:
  - {when: {linked: reservation, subject: "(?i)urgent"}, to: duty}
  - when: {unlinked: true, account: [sales], from: "@Nord.example", to: x@acme.example, attachment: false, queue: late, automatic: true}
    to: [duty, hook]
  - {when: {}, to: hook}
"""
_SALES = "kind: pigeon\noperators: [acme]\nloft: roof\nring: !env RING\n"
_OUT = """\
kind: post
operators: [acme]
town: Rome
send:
  from: {name: Acme, address: out@acme.example}
"""
_NORD = "title: Nord\n"


_KINDS = [(Transport, kind) for kind in ("pigeon", "parrot", "goose")] + [
    (Forwarder, kind) for kind in ("post", "bell", "parrot", "goose")
]


@pytest.fixture(scope="module")
def registry() -> loading.Registry:
    return loading.load(_PLUGINS).part([*_KINDS, (Store, "paper")])


@pytest.fixture
def load(tmp_path: Path, registry: loading.Registry, monkeypatch: pytest.MonkeyPatch) -> Callable[..., config.Config]:
    """Load a folder of these files, which stand beside or in the place of sound ones; None is no file."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)

    def loaded(files: Mapping[str, str | None] = {}, load: Callable[..., config.Config] = config.load) -> config.Config:
        sound = {
            "gatewayd.yaml": _MAIN,
            "operators/acme.yaml": _ACME,
            "operators/nord.yaml": _NORD,
            "accounts/sales.yaml": _SALES,
            "accounts/out.yaml": _OUT,
        }
        for name, text in {**sound, **files}.items():
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.unlink(missing_ok=True) if text is None else path.write_text(text, encoding="utf-8")
        return load(tmp_path, registry=registry)

    return loaded


def _lines(loaded: config.Config) -> list[str]:
    return [str(fault) for fault in loaded.faults]


# --- accounts ---------------------------------------------------------------------------------------------------------


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
    out = load({"accounts/out.yaml": _OUT + more}).accounts["out"]
    sends = out.sends
    assert sends
    assert (sends.cc, sends.bcc, sends.match, sends.docx, sends.system, sends.max_bytes) == (False, False, True, True, True, 2048)
    lines = {"from": 5, "cc": 6, "bcc": 7, "match": 9, "docx": 10, "system": 11, "max_bytes": 12}
    assert out.sends_lines == {name: f"accounts/out.yaml:{line}" for name, line in lines.items()}


def test_what_is_not_said_stands_where_the_block_does(load: Callable[..., config.Config]) -> None:
    out = load({"accounts/out.yaml": _OUT + "  docx: true\n"}).accounts["out"]
    assert {name: int(where.rpartition(":")[2]) for name, where in out.sends_lines.items()} == {
        **dict.fromkeys(("system", "match", "cc", "bcc", "max_bytes"), 5),
        "from": 5,
        "docx": 6,
    }


def test_a_kind_that_imports_and_sends_may_do_either_or_both(load: Callable[..., config.Config]) -> None:
    parrot = _SALES.replace("pigeon", "parrot")
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


def test_a_kind_whose_two_plugins_take_different_options_is_refused(load: Callable[..., config.Config]) -> None:
    loaded = load({"accounts/sales.yaml": _SALES.replace("pigeon", "goose")})
    what = "the transport and the forwarder 'goose' don't have the same options: their plugins don't fit"
    assert f"accounts/sales.yaml:1:7: {what}" in _lines(loaded)
    assert "sales" not in loaded.accounts


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (_SALES + "send: {from: {address: a@b.example}}\n", ["5:1: send: pigeon only imports, expected an account of its own that sends: of kind 'goose', 'parrot' or 'post'"]),
        (_OUT + "import: {}\n", ["6:1: import: post only sends, expected it in the file of an account that imports"]),
        (_OUT + "forward: {approved: []}\n", ["6:1: forward: post only sends, expected it in the file of an account that imports"]),
        (_OUT.partition("send:")[0], ["1:1: missing key 'send', expected it where the kind is post, which only sends"]),
        (_OUT.replace("kind: post", "kind: bell"), ["1:7: unknown transport or forwarder of mail 'bell', expected 'goose', 'parrot', 'pigeon' or 'post'"]),
        (_OUT.replace("kind: post", "kind: pst"), ["1:7: unknown transport or forwarder 'pst', did you mean 'post'?"]),
        (_OUT.replace("operators: [acme]", "user: acme/irina") + "  system: true\n", ["6:11: send.system: expected false in a personal account: it sends for its user alone"]),
        (_OUT.replace("out@acme.example", "Out <out@acme.example>"), ["5:31: send.from.address: expected a mail address such as irina@example.com"]),
        (_OUT + "  max_bytes: 10\n", ["6:14: send.max_bytes: expected at least 1024, found 10"]),
        (_OUT + "  allow_cc: true\n", ["6:3: unknown key 'send.allow_cc', expected 'bcc', 'cc', 'docx', 'from', 'match', 'max_bytes' or 'system'"]),
        (_OUT.replace("from: {name: Acme, address: out@acme.example}", "system: false"), ["5:3: missing key 'send.from'"]),
        (_OUT + "towm: Rome\n", ["6:1: unknown key 'towm', did you mean 'town'?"]),
    ],
)  # fmt: skip
def test_what_an_account_can_not_do_is_a_fault(load: Callable[..., config.Config], text: str, lines: list[str]) -> None:
    loaded = load({"accounts/new.yaml": text})
    assert _lines(loaded) == [f"accounts/new.yaml:{line}" for line in lines]
    assert "new" not in loaded.accounts


def test_a_personal_account_may_send(load: Callable[..., config.Config]) -> None:
    irina = load({"accounts/irina.yaml": _OUT.replace("operators: [acme]", "user: acme/irina")}).accounts["irina"]
    assert (irina.operators, irina.user) == (("acme",), "irina")
    assert irina.sends


# --- operators --------------------------------------------------------------------------------------------------------


def test_targets_and_rules_of_an_operator(load: Callable[..., config.Config]) -> None:
    acme = load().operators["acme"]
    assert acme.targets["duty"] == TargetConfig(
        name="duty", kind="post", account="out", to=("duty@example.com", "Desk@Example.com"), mode="inline"
    )
    hook = acme.targets["hook"]
    assert (hook.kind, hook.account, hook.to) == ("bell", "", ())
    assert hook.options
    assert dict(hook.options) == {"tune": "loud", "key": Secret("env", "KEY")}
    assert acme.rules == (
        Rule(number=1, where="", when=RuleConditions(linked=("reservation",), subject="(?i)urgent"), targets=("duty",)),
        Rule(
            number=2,
            where="",
            when=RuleConditions.model_construct(
                unlinked=True,
                accounts=("sales",),
                from_=("@nord.example",),
                to=("x@acme.example",),
                attachment=False,
                queues=("late",),
                automatic=True,
            ),
            targets=("duty", "hook"),
        ),
        Rule(number=3, where="", when=RuleConditions(), targets=("hook",)),
    )
    assert [rule.where for rule in acme.rules] == [f"operators/acme.yaml:{line}" for line in (6, 7, 9)]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("targets: {a: {account: out, to: [x@y.z]}}", ["1:14: missing key 'targets.a.kind', expected 'bell', 'goose', 'parrot' or 'post'"]),
        ("targets: {a: {kind: bel, tune: x}}", ["1:21: unknown forwarder 'bel', did you mean 'bell'?"]),
        ("targets: {a: {kind: pigeon, tune: x}}", ["1:21: unknown forwarder 'pigeon', expected 'bell', 'goose', 'parrot' or 'post'"]),
        ("targets: {a: {kind: bell}}", ["1:14: missing key 'targets.a.tune'"]),
        ("targets: {a: {kind: bell, tune: x, to: [a@b.c]}}", ["1:36: unknown key 'targets.a.to', expected 'key' or 'tune'"]),
        ("targets: {a: {kind: post, to: [x@y.z]}}", ["1:14: missing key 'targets.a.account'"]),
        ("targets: {a: {kind: post, account: out}}", ["1:14: missing key 'targets.a.to'"]),
        ("targets: {a: {kind: post, account: out, to: []}}", ["1:45: targets.a.to: expected a list of at least 1"]),
        ("targets: {a: {kind: post, account: out, to: [x, x@y.z]}}", ["1:46: targets.a.to[0]: expected a mail address such as irina@example.com"]),
        ("targets: {a: {kind: post, account: out, to: [x@y.z, x@y.z]}}", ["1:45: targets.a.to: 'x@y.z' stands here twice, expected it once"]),
        ("targets: {a: {kind: post, account: out, to: [x@y.z], mode: as is}}", ["1:60: targets.a.mode: expected 'attached' or 'inline', found 'as is'"]),
        ("targets: {A: {kind: bell, tune: x}}", ["1:11: unknown key 'targets.A', expected a name such as acme (a-z, 0-9, - _ .; at most 64)"]),
        ("targets: {a: bell}", ["1:14: targets.a: expected keys and values, found text"]),
        ("forward: {when: {}, to: a}", ["1:10: forward: expected a list, found keys and values"]),
        ("forward: [{when: {}, to: a}]", ["1:26: unknown target 'a'"]),
        ("forward: [{when: {}, to: []}]", ["1:26: forward[0].to: expected a list of at least 1"]),
        ("forward: [{when: {}}]", ["1:11: missing key 'forward[0].to'"]),
        ("forward: [{when: {}, to: 7}]", ["1:26: forward[0].to: expected a list, found a number"]),
    ],
)  # fmt: skip
def test_faults_of_targets_and_of_what_rules_name(load: Callable[..., config.Config], text: str, lines: list[str]) -> None:
    loaded = load({"operators/acme.yaml": f"{text}\n"})
    assert _lines(loaded) == [f"operators/acme.yaml:{line}" for line in lines]
    assert loaded.operators["acme"].faulty


@pytest.mark.parametrize(
    ("when", "line"),
    [
        ("{linked: reservation, unlinked: true}", "41: forward[0].when.unlinked: expected it without linked: no mail is both"),
        ("{linked: bookings}", "18: forward[0].when.linked: expected 'person', 'customer', 'supplier', 'reservation', 'quote', 'invoice' or 'product', found 'bookings'"),
        ("{linked: [person, person]}", "18: forward[0].when.linked: 'person' stands here twice, expected it once"),
        ("{linked: []}", "18: forward[0].when.linked: expected a list of at least 1"),
        ("{unlinked: yes}", "20: an unquoted yes, no, on, off, y or n, expected true or false, or the word in quotes"),
        ("{account: [A]}", "20: forward[0].when.account[0]: expected a name such as acme (a-z, 0-9, - _ .; at most 64)"),
        ("{from: nord.example}", "16: forward[0].when.from: expected a mail address or a domain such as @example.com"),
        ('{to: ["@a.b", "a b@c.d"]}', "23: forward[0].when.to[1]: expected a mail address or a domain such as @example.com"),
        ("{subject: (urgent}", "19: forward[0].when.subject: expected a pattern in RE2's syntax: missing ): (urgent"),
        ("{subject: '(?=a)'}", "19: forward[0].when.subject: expected a pattern in RE2's syntax: invalid perl operator: (?="),
        ("{subject: ''}", "19: forward[0].when.subject: expected a pattern such as (?i)urgent, of at most 1000 characters"),
        ("{attachment: 1}", "22: forward[0].when.attachment: expected true or false, found a number"),
        ("{queue: {}}", "17: forward[0].when.queue: expected a list, found keys and values"),
        ("{form: a@b.c}", "10: unknown key 'forward[0].when.form', did you mean 'from'?"),
    ],
)  # fmt: skip
def test_faults_of_conditions(load: Callable[..., config.Config], when: str, line: str) -> None:
    loaded = load({"operators/acme.yaml": f"targets: {{a: {{kind: bell, tune: x}}}}\nforward:\n- when: {when}\n  to: a\n"})
    assert _lines(loaded) == [f"operators/acme.yaml:3:{line}"]
    assert loaded.operators["acme"].faulty


# --- what files say of each other -------------------------------------------------------------------------------------

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
            "accounts/nord.yaml": _OUT.replace("acme]", "nord]"),
            "accounts/personal.yaml": _OUT.replace("operators: [acme]", "user: acme/irina"),
            "accounts/other.yaml": _SALES.replace("pigeon", "parrot") + "send: {from: {address: a@b.example}}\n",
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
    loaded = load({"accounts/out.yaml": _OUT + "town2: x\n"})
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
    out = _OUT.replace("[acme]", "[nord]") + "town2: x\n"
    for previous in (None, first):
        loaded = load({"accounts/out.yaml": out}, load=lambda folder, registry: config.running(folder, previous, registry))  # noqa: B023
        assert [fault.file for fault in loaded.faults] == ["accounts/out.yaml"]
        assert loaded.accounts["out"] == first.accounts["out"]
    shutil.rmtree(tmp_path / "state")


_SYSTEM = _OUT + "  system: true\n"


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
    assert load({"accounts/out.yaml": both, "accounts/z.yaml": None, "operators/acme.yaml": _ACME}).faults == ()


# --- changes, copies, secrets -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "accounts", "operators"),
    [
        ({"operators/acme.yaml": _ACME.replace("urgent", "late")}, (), ("acme",)),
        ({"operators/acme.yaml": _ACME.replace("loud", "low")}, (), ("acme",)),
        ({"operators/acme.yaml": _ACME.replace("inline", "attached")}, (), ("acme",)),
        ({"operators/acme.yaml": f"# a line more\n{_ACME}"}, (), ()),
        ({"accounts/out.yaml": _OUT + "  cc: false\n"}, ("out",), ()),
        ({"accounts/out.yaml": f"# a line more\n{_OUT}"}, (), ()),
        ({"accounts/out.yaml": _OUT.replace("Rome", "Oslo")}, ("out",), ()),
    ],
)
def test_what_a_change_of_what_goes_out_touches(
    load: Callable[..., config.Config], files: Mapping[str, str], accounts: tuple[str, ...], operators: tuple[str, ...]
) -> None:
    old = load()
    new = load(files)
    assert new.faults == ()
    assert config.changes(old, new) == config.Changes(accounts_changed=accounts, operators_changed=operators)
    assert config.fingerprint_of(old.operators["acme"], old.registry) == config.fingerprint_of(new.operators["acme"], new.registry)


def _reloaded(folder: Path, change: Callable[[str], str], previous: config.Config | None = None) -> config.Config:
    """The same folder, with other code behind its plugins."""
    (folder / "plugins").mkdir(exist_ok=True)
    (folder / "plugins" / "fakes.py").write_text(change((_PLUGINS / "fakes.py").read_text()))
    (folder / "gatewayd.yaml").write_text("plugins: {folder: plugins}\n" + _MAIN)
    return config.running(folder, previous)


_PLAIN = """
from gatewayd import Forwarder, hookimpl

class %s(Forwarder):
    kind = "%s"
    sends_mail = %s
    def open(self): ...

@hookimpl
def gatewayd_forwarders():
    return [%s]
"""


def test_a_forwarders_code_that_changed_touches_who_sends_by_it(load: Callable[..., config.Config], tmp_path: Path) -> None:
    """Their options are equal: only the code tells."""
    text = "targets: {a: {kind: mule, account: mule, to: [duty@example.com]}}\n"
    load(
        {
            "operators/acme.yaml": text + "forward: [{when: {}, to: a}]\n",
            "operators/nord.yaml": "targets: {a: {kind: gong}}\n",
            "operators/sud.yaml": "title: Sud\n",
            "accounts/mule.yaml": "kind: mule\noperators: [acme]\nsend: {from: {address: a@b.example}}\n",
        }
    )
    mule, gong = _PLAIN % ("Mule", "mule", True, "Mule"), _PLAIN % ("Gong", "gong", False, "Gong")
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "mule.py").write_text(mule)
    (tmp_path / "plugins" / "gong.py").write_text(gong)
    old = _reloaded(tmp_path, str)
    assert old.faults == ()
    (tmp_path / "plugins" / "mule.py").write_text(mule + "\n")
    new = _reloaded(tmp_path, str)
    assert (old.accounts, old.operators) == (new.accounts, new.operators)
    assert config.changes(old, new) == config.Changes(accounts_changed=("mule",), operators_changed=("acme",))
    (tmp_path / "plugins" / "gong.py").write_text(gong + "\n")
    assert config.changes(new, _reloaded(tmp_path, str)) == config.Changes(operators_changed=("nord",))


@pytest.mark.parametrize(
    ("gone", "accounts", "faulty"),
    [
        ([], ["both", "out", "sales"], False),
        ([(Forwarder, "bell")], ["both", "out", "sales"], True),
        ([(Forwarder, "post")], ["both", "sales"], True),
        ([(Transport, "pigeon")], ["both", "out"], False),
        ([(Forwarder, "parrot")], ["out", "sales"], False),
        ([(Transport, "parrot")], ["out", "sales"], False),
    ],
)
def test_what_runs_does_not_stand_in_where_plugins_are_gone(
    load: Callable[..., config.Config],
    registry: loading.Registry,
    tmp_path: Path,
    gone: list[tuple[type[Plugin], str]],
    accounts: list[str],
    *,
    faulty: bool,
) -> None:
    both = _SALES.replace("pigeon", "parrot") + "import: {}\nsend: {from: {address: a@b.example}}\n"
    running = load({"accounts/both.yaml": both})
    assert running.faults == ()
    for file in ("operators/acme.yaml", "accounts/sales.yaml", "accounts/out.yaml", "accounts/both.yaml"):
        (tmp_path / file).write_text("kind: [\n")
    left = registry.part([one for one in (*_KINDS, (Store, "paper")) if one not in gone])
    loaded = config.running(tmp_path, running, left)
    assert (sorted(loaded.accounts), loaded.operators["acme"].faulty) == (accounts, faulty)


def test_a_target_does_not_stand_in_with_options_of_before(load: Callable[..., config.Config], tmp_path: Path) -> None:
    load()
    running = _reloaded(tmp_path, str)
    (tmp_path / "operators" / "acme.yaml").write_text("kind: [\n")
    assert not _reloaded(tmp_path, str, running).operators["acme"].faulty
    assert _reloaded(tmp_path, lambda code: code + "\n", running).operators["acme"].faulty


def test_a_single_file_that_offers_a_forwarder_in_use_may_not_go(load: Callable[..., config.Config], tmp_path: Path) -> None:
    load({"accounts/sales.yaml": None, "operators/acme.yaml": "targets: {hook: {kind: bell, tune: x}}\n"})
    code = (
        "from gatewayd import Forwarder, hookimpl\n\nclass Bell(Forwarder):\n    kind = 'bell'\n    class Options(Forwarder.Options):\n"
        "        tune: str\n    def open(self): ...\n\n@hookimpl\ndef gatewayd_forwarders():\n    return [Bell]\n"
    )
    running = _reloaded(tmp_path, lambda fakes: fakes.replace("[Post, Bell, ", "[Post, "))
    assert running.operators["acme"].faulty
    (tmp_path / "plugins" / "ring.py").write_text(code)
    running = config.running(tmp_path)
    assert running.faults == ()
    (tmp_path / "plugins" / "ring.py").unlink()
    gone = config.running(tmp_path, running)
    assert _lines(gone) == [f"plugins/ring.py: {loading.GONE}"]
    assert not gone.operators["acme"].faulty


def test_a_signing_key_is_read_when_it_is_used_and_waits_for_a_restart(
    load: Callable[..., config.Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RING", "x")
    monkeypatch.setenv("KEY", "x")
    old = load()
    new = load({"gatewayd.yaml": _MAIN + "signing_key: !env SIGN\n"})
    assert (old.signing_key, new.signing_key) == (None, Secret("env", "SIGN"))
    assert config.changes(old, new) == config.Changes(restart=("signing_key",))
    assert config.kept(old, new).signing_key is None
    monkeypatch.delenv("SIGN", raising=False)
    missing = "gatewayd.yaml:3:14: the secret !env SIGN is missing or empty. Set the environment variable SIGN."
    assert [str(fault) for fault in config.outside_faults(new)] == [missing]
    monkeypatch.setenv("SIGN", "hunter2" * 4)
    (fault,) = config.outside_faults(new)
    assert (fault.file, fault.line, fault.column) == ("gatewayd.yaml", 3, 14)
    assert "32" in fault.what
    assert "hunter2" not in fault.what
    monkeypatch.setenv("SIGN", "hunter2" * 5)
    assert config.outside_faults(new) == ()
    assert not new.state.exists()
