"""An operator's targets and forward rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd.api.options import Secret
from gatewayd.config.models.operator import RuleConditions
from gatewayd.config.rules import Rule
from gatewayd.config.values import TargetConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewayd import config


def _lines(loaded: config.Config) -> list[str]:
    return [str(fault) for fault in loaded.faults]


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
        ("targets: {a: {kind: post, account: out, to: [x@y.z, x@y.z]}}", ["1:45: targets.a.to: 'x@y.z' is here twice, expected it once"]),
        ("targets: {a: {kind: post, account: out, to: [x@y.z], mode: as is}}", ["1:60: targets.a.mode: expected 'attached' or 'inline', found 'as is'"]),
        ("targets: {a: {kind: parrot, account: out, to: [x@y.z], mode: inline}}", ["1:21: targets.a.kind: expected 'post', the kind of account 'out', found 'parrot'", "1:62: targets.a.mode: parrot can't send this way, expected 'attached'"]),
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
        ("{linked: [person, person]}", "18: forward[0].when.linked: 'person' is here twice, expected it once"),
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
