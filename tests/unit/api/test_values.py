"""The frozen values: what they say of themselves, and that nobody changes them."""

from __future__ import annotations

import dataclasses
import inspect
import pickle
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.api import ledger, queries, values
from gatewayd.api.spool import SpoolSource
from gatewayd.api.values import KINDS, Action, Came, Contact, Kind, Link, Miss, Record, Rivals, decide

VALUES = [
    value
    for room in (values, ledger, queries)
    for _, value in inspect.getmembers(room, dataclasses.is_dataclass)
    if value.__module__ == room.__name__
]

records = st.builds(Record, kind=st.sampled_from(KINDS), id=st.sampled_from("123"), label=st.text(max_size=3))

#: What goes between processes in great numbers: with slots, a frozen value pickles by lines of Python.
TRAVELLERS = {"Address", "Attachment", "FilingFault", "Follows", "Link", "Miss", "Part", "Record", "Rivals"}


@pytest.mark.parametrize("value", VALUES)
def test_values_are_frozen_and_have_slots_unless_they_travel(value: type) -> None:
    assert value.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert ("__slots__" in vars(value)) == (value.__name__ not in TRAVELLERS)


@given(st.lists(records, max_size=5))
def test_one_record_is_a_link_several_are_rivals_and_none_is_a_miss(found: list[Record]) -> None:
    distinct = {(one.kind, one.id) for one in found}
    said = decide(7, iter(found), because="a code")
    assert (said.mail_id, said.because) == (7, "a code")
    assert type(said) is (Miss, Link)[len(distinct)] if len(distinct) < 2 else Rivals
    if isinstance(said, Link):
        assert said.record in found
    if isinstance(said, Rivals):
        assert len(said.records) == len(distinct)
        assert {(one.kind, one.id) for one in said.records} == distinct


@given(st.sampled_from(["seen", "delete"]) | st.text(min_size=1))
def test_an_action_is_read_again_as_it_was_written(text: str) -> None:
    action = Action(do=text) if text in {"seen", "delete"} else Action(do="move", folder=text)  # type: ignore[arg-type]
    assert Action.parse(str(action)) == action


def test_a_record_has_its_further_columns() -> None:
    record = Record(kind="reservation", id="R9", label="Rome", fields=(("code", "B-756"), ("agent", "Nord")))
    assert (record.get("code"), record.get("agent"), record.get("price")) == ("B-756", "Nord", "")
    assert pickle.loads(pickle.dumps(record)) == record


def test_kinds_are_those_of_the_type() -> None:
    assert get_args(Kind) == KINDS


def test_what_came_does_not_show_its_digest() -> None:
    assert "digest" not in repr(Came(key="1", source=SpoolSource("x", 0, 1), digest=b"\1" * 32))


def test_the_old_name_of_a_contacts_record_works_and_warns() -> None:
    record = Record(kind="customer", id="C1", label="Nord")
    with pytest.warns(DeprecationWarning, match="called record now") as built:
        old = Contact(owner=record, type="EMAIL", value="desk@nord.example", contact_type="")
    with pytest.warns(DeprecationWarning, match="called record now") as read:
        assert old.owner is record
    assert [one.filename for one in (*built, *read)] == [__file__, __file__]
    contact = Contact(record=record, type="EMAIL", value="desk@nord.example", contact_type="")
    assert contact == old
    assert pickle.loads(pickle.dumps(contact)) == replace(contact, contact_type="") == contact
    with pytest.raises(TypeError, match="'record'"):
        Contact(type="EMAIL", value="desk@nord.example", contact_type="")
