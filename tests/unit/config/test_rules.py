"""Forward rules: what holds, and in what words it does not."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.api.ledger import Filing, FilingFault
from gatewayd.api.values import KINDS, Kind, Link, Record, Rivals
from gatewayd.config.models.operator import RuleConditions
from gatewayd.config.rules import Rule, compiled, why_not
from gatewayd.message.mail import BytesSource, parse

_RAW = b"""\
From: Anna Berger <Anna@Nord.example>
To: reservations@acme.example, "Duty" <duty@acme.example>
Cc: office@nord.example
Subject: =?utf-8?q?URGENT=3A_Stra=C3=9Fe_gesperrt?=
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain

See there.
--b
Content-Type: application/pdf; name=map.pdf
Content-Disposition: attachment; filename=map.pdf

%PDF
--b--
"""
_MAIL = parse(BytesSource(_RAW.replace(b"\n", b"\r\n")), mail_id=7)
_BARE = parse(BytesSource(b"\r\nHi\r\n"), mail_id=8)


_ABROAD = parse(BytesSource(b"From: anna@xn--mller-kva.example\r\n\r\nHi\r\n"), mail_id=9)


def _record(kind: Kind) -> Record:
    return Record(kind=kind, id="1", label="One")


def _filing(*kinds: Kind, rivals: tuple[Kind, ...] = (), faults: tuple[FilingFault, ...] = ()) -> Filing:
    links = tuple(("contacts", Link(7, _record(kind), "because")) for kind in kinds)
    several = ("contacts", Rivals(7, tuple(_record(kind) for kind in rivals), "because"))
    return Filing(operator="acme", user=None, links=links, rivals=(several,) * bool(rivals), faults=faults, queue="front-office")


_ALL = Rule(number=1, where="operators/acme.yaml:9", when=RuleConditions(), targets=("duty",))
_FAULT = FilingFault("contacts", "it hangs")


def _rule(**when: Any) -> Rule:
    return replace(_ALL, when=RuleConditions.model_construct(**when))


@pytest.mark.parametrize(
    ("rule", "filing", "why"),
    [
        (_ALL, _filing(), ""),
        (_rule(linked=("person",)), _filing("person", "customer"), ""),
        (_rule(linked=("reservation", "person")), _filing("person"), ""),
        (_rule(linked=("reservation",)), _filing("person"), "linked to person, not to reservation"),
        (
            _rule(linked=("quote", "invoice")),
            _filing("person", "customer"),
            "linked to customer and person, not to quote or invoice",
        ),
        (_rule(linked=("person",)), _filing(), "linked to nothing, not to person"),
        (
            _rule(linked=("person",)),
            _filing(rivals=("person", "person")),
            "linked to nothing, not to person (which person is not decided)",
        ),
        (_rule(linked=("person",)), _filing(rivals=("quote",)), "linked to nothing, not to person"),
        (_rule(unlinked=True), _filing(), ""),
        (_rule(unlinked=True), _filing(rivals=("person", "person")), ""),
        (_rule(unlinked=True), _filing("person"), "linked to person, expected to be linked to nothing"),
        (_rule(accounts=("sales", "reservations")), _filing(), ""),
        (_rule(accounts=("sales", "irina")), _filing(), "came by reservations, not by sales or irina"),
        (_rule(from_=("anna@nord.example",)), _filing(), ""),
        (_rule(from_=("@nord.example",)), _filing(), ""),
        (
            _rule(from_=("@example", "@rd.example", "nord.example")),
            _filing(),
            "from anna@nord.example, not from @example, @rd.example or nord.example",
        ),
        (_rule(to=("duty@acme.example",)), _filing(), ""),
        (_rule(to=("@nord.example",)), _filing(), ""),
        (
            _rule(to=("anna@nord.example",)),
            _filing(),
            "to reservations@acme.example, duty@acme.example, office@nord.example, not to anna@nord.example",
        ),
        (_rule(subject="(?i)^urgent"), _filing(), ""),
        (_rule(subject="Straße"), _filing(), ""),
        (_rule(subject="^urgent"), _filing(), "subject does not match '^urgent'"),
        (_rule(attachment=True), _filing(), ""),
        (_rule(attachment=False), _filing(), "has 1 attachment"),
        (_rule(queues=("errors", "front-office")), _filing(faults=(_FAULT,)), ""),
        (_rule(queues=("front-office",)), _filing(), "is in no error queue, not in front-office"),
        (_rule(queues=("errors",)), _filing(faults=(_FAULT,)), "is in the error queue front-office, not in errors"),
    ],
)
def test_each_condition_holds_or_says_what_was_found(rule: Rule, filing: Filing, why: str) -> None:
    assert why_not(rule, account="reservations", mail=_MAIL, filing=filing) == why


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (_rule(from_=("@nord.example",)), "from nobody, not from @nord.example"),
        (_rule(to=("@nord.example",)), "to nobody, not to @nord.example"),
        (_rule(attachment=True), "has no attachment"),
        (_rule(attachment=False, subject="^$"), ""),
    ],
)
def test_a_mail_without_any_headers_fits_what_asks_for_none(rule: Rule, why: str) -> None:
    assert why_not(rule, account="reservations", mail=_BARE, filing=_filing()) == why


def test_many_addresses_are_told_in_part_and_all_are_looked_at() -> None:
    raw = b"To: " + b", ".join(b"p%d@acme.example" % number for number in range(9)) + b"\r\n\r\n"
    mail = parse(BytesSource(raw))
    rule = _rule(to=("x@acme.example",))
    told = "to p0@acme.example, p1@acme.example, p2@acme.example and 6 more, not to x@acme.example"
    assert why_not(rule, account="a", mail=mail, filing=_filing()) == told
    assert why_not(_rule(to=("p8@acme.example",)), account="a", mail=mail, filing=_filing()) == ""


@pytest.mark.parametrize("wanted", ["anna@müller.example", "@müller.example", "@xn--mller-kva.example"])
def test_a_domain_is_meant_in_either_spelling(wanted: str) -> None:
    assert why_not(_rule(from_=(wanted,)), account="a", mail=_ABROAD, filing=_filing()) == ""


def test_the_first_condition_that_does_not_hold_is_told() -> None:
    rule = _rule(linked=("quote",), accounts=("sales",), subject="never")
    assert why_not(rule, account="reservations", mail=_MAIL, filing=_filing("quote")) == "came by reservations, not by sales"


def test_P6_personal_mail_is_taken_only_by_a_rule_that_names_its_account() -> None:
    personal = replace(_filing(), user="irina")
    said = why_not(_ALL, account="irina-own", mail=_MAIL, filing=personal)
    assert said == "personal mail of irina, and the rule does not name the account irina-own"
    named = _rule(accounts=("irina-own",))
    assert why_not(named, account="irina-own", mail=_MAIL, filing=personal) == ""


def test_a_rule_that_only_moved_in_its_file_is_equal() -> None:
    assert replace(_ALL, where="operators/acme.yaml:12") == _ALL
    assert replace(_ALL, number=2) != _ALL


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(urgent", "missing ): (urgent"),
        (r"(.)\1", r"invalid escape sequence: \1"),
        ("(?=urgent)", "invalid perl operator: (?="),
        ("(?i", "invalid perl operator: (?i"),
        ("[[:letters:]]", "invalid character class range: [:letters:]"),
        ("(x{1000}){1000}", "invalid repetition size: {1000}"),
        (r"((\pL{500}\pN{500}){2}\pL)+", "pattern too large"),
    ],
)
def test_a_pattern_that_re2_does_not_know_is_refused(pattern: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"expected a pattern in RE2's syntax: {why}")):
        compiled(pattern)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*$", "(a*)*b", "^(([a-z])+.)+[A-Z]([a-z])+$"])
def test_P4_a_pattern_that_ruins_others_takes_time_in_step_with_the_subject(pattern: str) -> None:
    mail = replace(_BARE, subject="a" * 4095 + "!")
    began = time.process_time()
    for _ in range(20):
        why_not(_rule(subject=pattern), account="a", mail=mail, filing=_filing())
    assert time.process_time() - began < 5


@given(st.text(max_size=30), st.text(max_size=60))
def test_any_pattern_is_refused_or_can_be_searched_for(pattern: str, subject: str) -> None:
    try:
        found = compiled(pattern)
    except ValueError:
        return
    found.search(subject)


@given(st.text(max_size=10), st.text(max_size=20), st.text(max_size=20))
def test_a_text_is_found_wherever_it_stands(word: str, before: str, behind: str) -> None:
    rule = _rule(subject="".join(rf"\x{{{ord(letter):x}}}" for letter in word))
    mail = replace(_BARE, subject=before + word + behind)
    assert why_not(rule, account="a", mail=mail, filing=_filing()) == ""


@given(st.binary(max_size=300))
def test_any_mail_can_be_judged(raw: bytes) -> None:
    mail = parse(BytesSource(b"Subject: " + raw))
    rule = _rule(subject="(?s)^.*$", attachment=bool(mail.attachments))
    assert why_not(rule, account="a", mail=mail, filing=_filing()) == ""


_RULES = st.builds(
    _rule,
    linked=st.lists(st.sampled_from(KINDS), max_size=2, unique=True).map(tuple),
    unlinked=st.booleans(),
    accounts=st.lists(st.sampled_from(["sales", "reservations"]), max_size=2, unique=True).map(tuple),
    from_=st.lists(st.sampled_from(["anna@nord.example", "@nord.example", "@sud.example"]), max_size=2, unique=True).map(tuple),
    to=st.lists(st.sampled_from(["duty@acme.example", "@sud.example"]), max_size=2, unique=True).map(tuple),
    subject=st.sampled_from(["", "URGENT", "offer"]),
    attachment=st.none() | st.booleans(),
    queues=st.lists(st.sampled_from(["front-office", "errors"]), max_size=2, unique=True).map(tuple),
)


@given(_RULES, st.lists(st.sampled_from(KINDS), max_size=2).map(tuple), st.sampled_from([(), (_FAULT,)]))
def test_a_rule_fires_exactly_where_all_that_it_says_holds(
    rule: Rule, kinds: tuple[Kind, ...], faults: tuple[FilingFault, ...]
) -> None:
    filing = _filing(*kinds, faults=faults)
    holds = [
        not rule.when.linked or bool({*rule.when.linked} & {*kinds}),
        not rule.when.unlinked or not kinds,
        not rule.when.accounts or "reservations" in rule.when.accounts,
        not rule.when.from_ or bool({*rule.when.from_} & {"anna@nord.example", "@nord.example"}),
        not rule.when.to or "duty@acme.example" in rule.when.to,
        rule.when.subject in {"", "URGENT"},
        rule.when.attachment in {None, True},
        not rule.when.queues or (bool(faults) and "front-office" in rule.when.queues),
    ]
    why = why_not(rule, account="reservations", mail=_MAIL, filing=filing)
    assert (why == "") == all(holds)
    assert re.sub(r"\s+", " ", why) == why
