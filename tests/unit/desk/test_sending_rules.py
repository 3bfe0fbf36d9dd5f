"""What an account refuses to send: each rule is named with the line where it is said."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest

from gatewayd import Address, PermanentError
from gatewayd.desk.composing.writing import AttachedFile
from tests.unit.desk.desks import WHERE, World


def test_without_an_account_that_sends_it_says_what_to_configure(world: World) -> None:
    world.allow(system=False)
    caught = world.refusal()
    assert caught.message == "operator acme has no account that sends"
    assert "system: true" in caught.advice
    del world.accounts["acme-out"]
    assert world.refusal().message == caught.message


def document(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as package:
        for name in names:
            package.writestr(name, "x")
    return file.getvalue()


DOCX = document("[Content_Types].xml", "_rels/.rels", "word/document.xml")


@pytest.mark.parametrize(
    ("rule", "value", "new_mail", "told"),
    [
        ("match", True, {"sender": "irina@acme.example"}, "must be from desk@acme.example, not from irina@acme.example"),
        ("cc", False, {"cc": ("b@x.de",)}, "sends no Cc"),
        ("bcc", False, {"bcc": ("b@x.de",)}, "sends no Bcc"),
        (
            "docx",
            False,
            {"attachments": (AttachedFile(name="offer.pdf", type="application/pdf", data=DOCX),)},
            "offer.pdf is or holds one",
        ),
        ("max_bytes", 1024, {"text": "x" * 1000}, "at most 1024 bytes"),
    ],
)
def test_a_refusal_names_the_rule_and_where_it_stands(
    world: World, rule: str, value: Any, new_mail: dict[str, Any], told: str
) -> None:
    world.allow(WHERE, **{rule: value})
    prepared = world.prepared(**new_mail)
    assert not prepared.allowed
    assert [one.rule for one in prepared.checks if not one.allowed] == [rule]
    caught = world.refusal(**new_mail)
    assert told in caught.message
    assert caught.message.startswith("account acme-out refuses it: ")
    assert caught.advice == f"The rule is `{rule}`, in {WHERE[rule]}."
    world.allow(WHERE, **{rule: {"max_bytes": 1 << 20}.get(rule, rule != "match")})
    assert world.send(**new_mail).delivery_ids


def test_P8_what_is_too_large_already_is_refused_before_it_is_written(world: World) -> None:
    world.allow(max_bytes=1024)
    with pytest.raises(PermanentError, match="at most 1024 bytes, and this mail has 2010") as caught:
        world.prepared(attachments=(AttachedFile(name="x", type="a/b", data=bytes(2000)),))
    assert WHERE["max_bytes"] in caught.value.advice


def test_a_mail_of_just_as_many_bytes_as_it_may_have_is_allowed(world: World) -> None:
    new_mail = {"text": "x" * 1000}
    size = next(int(one.words.partition(" of ")[0]) for one in world.prepared(**new_mail).checks if one.rule == "max_bytes")
    world.allow(max_bytes=size)
    assert world.prepared(**new_mail).allowed
    world.allow(max_bytes=size - 1)
    assert not world.prepared(**new_mail).allowed


def test_all_rules_are_shown_with_what_was_found(world: World) -> None:
    checks = world.prepared(cc=("b@x.de",)).checks
    assert [(one.account, one.rule, one.where, one.allowed) for one in checks] == [
        ("acme-out", name, WHERE[name], True) for name in ("match", "cc", "bcc", "docx", "max_bytes")
    ]
    words = {one.rule: one.words for one in checks}
    assert words["match"] == "from desk@acme.example, any sender is allowed"
    assert (words["cc"], words["bcc"], words["docx"]) == ("1 Cc", "no Bcc", "Word documents: none")
    assert words["max_bytes"].endswith(" of 36700160 bytes")


def test_a_sender_that_matches_may_be_written_in_any_case(world: World) -> None:
    world.allow(match=True)
    assert world.prepared(sender="Desk@ACME.example").allowed
    world.allow(match=True, sender=Address(name="Acme Tours", email="Desk@Acme.example"))
    prepared = world.prepared(sender="desk@acme.example")
    assert prepared.allowed
    assert {one.rule: one.words for one in prepared.checks}["match"] == "from desk@acme.example"


def test_a_rule_without_a_line_names_the_file(world: World) -> None:
    world.allow({}, cc=False)
    assert world.refusal(cc=("b@x.de",)).advice == "The rule is `cc`, in accounts/acme-out.yaml."
