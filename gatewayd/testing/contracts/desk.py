"""Tests of every store: which mail people see at the desk, and what they do with it."""

# ruff: noqa: PLR2004, N802  tests are made of expected numbers and named after promises

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gatewayd import Address, Attachment, Container, FilingFault, Part, Query, Record, Rivals, RivalView, Viewer
from gatewayd.testing.contracts.custodian import ACME, Custodian, make_filing, make_raw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd import Store

__all__ = ["DeskContract"]

_NORD = Record(kind="customer", id="C1", label="Nord GmbH")
_SUED = Record(kind="customer", id="C2", label="Süd AG 🌍")
_ROME = Record(kind="reservation", id="R1", label="B-756 Rome")
_OSLO = Record(kind="reservation", id="R2", label="O-756 Oslo")
_FAULT = FilingFault("contacts", "ValueError: no")

#: The users whose personal mail a viewer may see.
_USERS: tuple[tuple[str, ...], ...] = ((), ("x",), ("y", "z"), ("x", "y"))


def _ids(store: Store, query: Query, viewer: Viewer = ACME) -> list[int]:
    return [view.id for view in store.filings(viewer, query)]


def _unlinked(store: Store, mail_id: int) -> list[tuple[str, str, str]]:
    (view,) = store.filings(ACME, Query(ids=(mail_id,)))
    return [(one.id, one.by, one.removed_by) for one in view.unlinked]


def _links(store: Store, mail_id: int, viewer: Viewer = ACME) -> dict[str, str]:
    (view,) = store.filings(viewer, Query(ids=(mail_id,)))
    return {link.id: link.by for link in view.links}


def _rivals(store: Store, mail_id: int) -> list[str]:
    (view,) = store.filings(ACME, Query(ids=(mail_id,)))
    return [rival.id for rival in view.rivals]


class DeskContract:
    """The desk: filings as they were filed, for those who may see them (promise P6)."""

    def test_a_filing_is_shown_as_it_was_filed(self, store: Store, shared: Custodian) -> None:
        shared.enter("1")
        raw = make_raw(subject="Grüße 🌍", sender="Änne 🚆 <anne@example.com>")
        made = shared.outcome("1", raw, make_filing(links=[_SUED], rivals=[_ROME, _OSLO], faults=[_FAULT]))
        part = Part(offset=3, length=4, type="application/pdf", encoding="base64", charset="")
        within = (Container("tnef", 3, 900, "base64"), Container("compressed", 7, 40, "8bit"))
        files = (
            Attachment(name="Übersicht 🧳.pdf", type="application/pdf", size=3, part=part),
            Attachment(name="in winmail.dat", type="application/pdf", size=3, part=replace(part, within=within)),
        )
        mail = replace(made.mail, attachments=files, received_at=datetime(2026, 11, 22, 8, 0, 1, tzinfo=UTC))
        shared.commit(replace(made, mail=mail))
        (view,) = store.filings(ACME, Query())
        assert (view.id, view.operator, view.user) == (made.entry_id, "acme", None)
        assert (view.account, view.folder, view.key, view.direction) == ("shared", "INBOX", "1", "in")
        assert (view.message_id, view.sender, view.sender_name) == ("<1@example.com>", "anne@example.com", "Änne 🚆")
        assert (view.to, view.subject, view.unread) == (("reservations@example.com",), "Grüße 🌍", True)
        assert (view.sent_at, view.received_at) == (datetime(2026, 11, 22, 8, tzinfo=UTC), mail.received_at)
        assert (view.size, view.digest, view.attachments) == (len(raw), made.digest, files)
        assert [(link.kind, link.id, link.label, link.by, link.because) for link in view.links] == [
            ("customer", "C2", "Süd AG 🌍", "contacts", "because of C2")
        ]
        assert view.rivals == tuple(
            RivalView(kind="reservation", id=each.id, label=each.label, by="reservations", because="several fit")
            for each in (_ROME, _OSLO)
        )
        assert (view.faults, view.queue) == ((_FAULT,), "desk")

    def test_text_that_no_database_takes_is_kept_as_far_as_it_goes(self, store: Store, shared: Custodian) -> None:
        shared.enter("1")
        record = Record(kind="person", id="P\0", label="a\0b")
        made = shared.outcome("1", make_raw(), make_filing(links=[record], faults=[FilingFault("x", "\udc80")]))
        sender = Address(name="\ud83d", email="a\0@b")
        shared.commit(replace(made, mail=replace(made.mail, subject="a\0b\udcff", from_=(sender,), to=(sender,))))
        (view,) = store.filings(ACME, Query())
        assert (view.subject, view.sender, view.sender_name) == ("a\ufffdb\ufffd", "a\ufffd@b", "\ufffd")
        assert [(link.id, link.label) for link in view.links] == [("P\ufffd", "a\ufffdb")]
        assert store.unlink(ACME, view.id, [("person", "P\0")], who="irina") == 1

    def test_a_mail_without_dates_is_shown_when_it_came(self, store: Store, shared: Custodian) -> None:
        shared.file("1", b"\r\n")
        (view,) = store.filings(ACME, Query())
        assert view.sent_at is None
        assert abs((view.received_at - datetime.now(UTC)).total_seconds()) < 60
        assert (view.sender, view.to, view.subject, view.attachments, view.queue) == ("", (), "", (), None)

    def test_filings_are_found_by_what_is_asked(self, store: Store, shared: Custodian, other: Custodian) -> None:
        first = shared.file(
            "1", make_raw(1, subject="Größe 100% _sure_", sender="ÄNNE <Anne@Example.com>"), make_filing(links=[_NORD])
        )
        second = shared.file("2", make_raw(2, subject="Oslo"), make_filing(links=[_ROME], faults=[_FAULT]))
        third = other.file("1", make_raw(3, subject="Rome"), make_filing(faults=[_FAULT], queue="night"))
        assert store.mark(ACME, [first], unread=False) == 1
        assert _ids(store, Query()) == [third, second, first]
        assert _ids(store, Query(limit=2)) == [third, second]
        assert _ids(store, Query(before=second)) == [first]
        assert _ids(store, Query(ids=(first, third, 999))) == [third, first]
        assert _ids(store, Query(ids=(first, third), limit=1)) == [third]
        assert _ids(store, Query(ids=())) == []
        assert _ids(store, Query(account="other")) == [third]
        assert _ids(store, Query(unread=True)) == [third, second]
        assert _ids(store, Query(unread=False)) == [first]
        assert _ids(store, Query(linked=True)) == [second, first]
        assert _ids(store, Query(linked=False)) == [third]
        assert _ids(store, Query(kind="customer")) == [first]
        assert _ids(store, Query(kind="reservation", record="R1")) == [second]
        assert _ids(store, Query(kind="customer", record="R1")) == []
        assert _ids(store, Query(faulty=True)) == [third, second]
        assert _ids(store, Query(faulty=False)) == [first]
        assert _ids(store, Query(queue="night")) == [third]
        assert _ids(store, Query(fault_by="contacts")) == [third, second]
        assert _ids(store, Query(fault_by="directory")) == []
        for text in ("größe", "GRÖSSE", "0% _S", "änne", "anne@EXAMPLE", "Sure_"):
            assert _ids(store, Query(text=text)) == [first]
        assert _ids(store, Query(text="reservations@")) == [third, second, first]
        assert _ids(store, Query(text="100_")) == _ids(store, Query(text="%s%")) == []

    def test_what_was_filed_in_the_last_seconds_is_told_by_account_and_user(self, store: Store, shared: Custodian) -> None:
        assert not store.last_filed(seconds=60)
        for key in ("1", "2"):
            shared.enter(key)
            shared.commit(shared.outcome(key, make_raw(subject=key), make_filing(), make_filing(operator="globetrot")))
        first = store.last_filed(seconds=60)
        assert {(one.operator, one.user, one.account) for one in first} == {("acme", None, "shared"), ("globetrot", None, "shared")}
        shared.enter("3")
        shared.commit(shared.outcome("3", make_raw(subject="3"), make_filing(user="irina")))
        found = {(one.operator, one.user): one.filed_at for one in store.last_filed(seconds=60)}
        assert len(found) == len(first) + 1
        assert found["acme", "irina"] > max(one.filed_at for one in first)
        assert not store.last_filed(seconds=0)

    def test_P6_causes_group_what_stands_in_the_viewer_s_queues(self, store: Store, shared: Custodian) -> None:
        down = FilingFault("directory", "it is down")
        faults: list[tuple[str, str | None, list[FilingFault]]] = [
            ("desk", None, [_FAULT]),
            ("desk", None, [_FAULT, _FAULT, down]),
            ("desk", "irina", [_FAULT]),
            ("night", None, [_FAULT]),
            ("desk", None, []),
            ("desk", None, [_FAULT]),
        ]
        ids = [
            shared.file(str(number), make_raw(number), make_filing(user=user, faults=said, queue=queue), make_filing("globetrot"))
            for number, (queue, user, said) in enumerate(faults)
        ]
        assert store.discard(ACME, ids[-1:]) == 1
        found = store.causes(ACME)
        assert [(each.queue, each.by, each.error, each.filings, each.last_id) for each in found] == [
            ("desk", "contacts", "ValueError: no", 2, ids[1]),
            ("night", "contacts", "ValueError: no", 1, ids[3]),
            ("desk", "directory", "it is down", 1, ids[1]),
        ]
        assert all(each.first_at <= each.last_at <= datetime.now(UTC) for each in found)
        assert found[0].first_at < found[0].last_at
        assert [each.filings for each in store.causes(Viewer(operator="acme", users=("irina",)))] == [3, 1, 1]
        assert store.causes(Viewer(operator="globetrot")) == []
        assert _ids(store, Query(fault_by="directory")) == [ids[1]]

    def test_marking_tells_how_many_changed(self, store: Store, shared: Custodian) -> None:
        ids = [shared.file(str(number), make_raw(number)) for number in range(3)]
        assert store.mark(ACME, ids[:2], unread=False) == 2
        assert store.mark(ACME, ids, unread=False) == 1
        assert store.mark(ACME, [*ids, *ids, 999], unread=True) == 3
        assert store.mark(ACME, [], unread=True) == 0

    def test_a_discarded_filing_leaves_its_queue_and_stays(self, store: Store, shared: Custodian) -> None:
        faulty = shared.file("1", make_raw(1), make_filing(faults=[_FAULT]))
        sound = shared.file("2", make_raw(2), make_filing())
        assert store.discard(ACME, [faulty, sound]) == 1
        assert store.discard(ACME, [faulty]) == 0
        assert not _ids(store, Query(faulty=True))
        assert _ids(store, Query()) == [sound, faulty]

    def test_a_link_by_hand_settles_only_the_rivals_that_it_was_chosen_from(self, store: Store, shared: Custodian) -> None:
        first = Rivals(0, (_ROME, _OSLO), "number 756")
        second = Rivals(0, tuple(replace(record, id=f"{record.id}-900") for record in (_ROME, _OSLO)), "number 900")
        filing = replace(make_filing(), rivals=(("reservations", first), ("reservations", second)))
        mail_id = shared.file("1", make_raw(), filing)
        store.link(ACME, mail_id, [_ROME], who="irina", because="the voucher")
        assert _rivals(store, mail_id) == ["R1-900", "R2-900"]
        store.refile(ACME, [(mail_id, filing)])
        assert _rivals(store, mail_id) == ["R1-900", "R2-900"]

    def test_links_by_hand_stay_and_settle_the_rivals_they_were_chosen_from(self, store: Store, shared: Custodian) -> None:
        filing = make_filing(links=[_NORD], rivals=[_ROME, _OSLO, _SUED])
        mail_id = shared.file("1", make_raw(), filing)
        assert store.link(ACME, mail_id, [_OSLO, _NORD, _OSLO], who="irina", because="the voucher") == 1
        by = "person:irina"
        assert _links(store, mail_id) == {"C1": by, "R2": by}
        assert _rivals(store, mail_id) == [], "a customer and a reservation were linked by hand"
        store.refile(ACME, [(mail_id, make_filing(links=[_SUED, _NORD], rivals=[_ROME, _OSLO], faults=[_FAULT]))])
        assert _links(store, mail_id) == {"C1": by, "R2": by, "C2": "contacts"}
        assert _rivals(store, mail_id) == []
        assert _ids(store, Query(faulty=True)) == [mail_id]
        store.refile(ACME, [(mail_id, make_filing())])
        assert _links(store, mail_id) == {"C1": by, "R2": by}
        assert _ids(store, Query(faulty=True)) == []

    def test_what_a_person_has_unlinked_stays_unlinked(self, store: Store, shared: Custodian) -> None:
        filing = make_filing(links=[_NORD, _SUED], rivals=[_ROME, _OSLO])
        mail_id = shared.file("1", make_raw(), filing)
        assert store.unlink(ACME, mail_id, [("customer", "C1"), ("customer", "none")], who="irina") == 1
        assert store.unlink(ACME, mail_id, [("customer", "C1")], who="irina") == 0
        assert _ids(store, Query(record="C1")) == []
        store.refile(ACME, [(mail_id, filing)])
        assert _links(store, mail_id) == {"C2": "contacts"}
        assert _rivals(store, mail_id) == ["R1", "R2"]
        assert _unlinked(store, mail_id) == [("C1", "contacts", "irina")]
        assert store.link(ACME, mail_id, [_NORD], who="max", because="after all") == 1
        assert _unlinked(store, mail_id) == []
        assert _links(store, mail_id) == {"C1": "person:max", "C2": "contacts"}
        assert store.unlink(ACME, mail_id, [("customer", "C1"), ("customer", "C2")], who="irina") == 2
        assert _ids(store, Query(linked=True)) == []

    def test_P6_nobody_sees_or_changes_what_is_not_theirs(self, store: Store) -> None:
        chance = random.Random(6)  # noqa: S311  examples, the same each time
        for _ in range(30):
            # Operators that see a mail, each with the user who owns the filing if it is a personal one.
            mails = [
                {operator: chance.choice([None, "x", "y"]) for operator in chance.sample("abc", chance.randint(0, 3))}
                for _ in range(chance.randint(1, 4))
            ]
            self._try(store, mails, Viewer(operator=chance.choice("abcd"), users=chance.choice(_USERS)))

    def _try(self, store: Store, mails: Sequence[dict[str, str | None]], viewer: Viewer) -> None:
        others = Viewer(operator="other", users=("x",))
        one = Custodian.of(store, f"account {len(_ids(store, Query(limit=1000), others))}")
        filed: dict[int, dict[str, str | None]] = {}
        for number, owners in enumerate(mails):
            filings = [make_filing(operator, user=user, links=[_NORD], faults=[_FAULT]) for operator, user in owners.items()]
            other = make_filing("other", user="x", links=[_NORD], faults=[_FAULT])
            filed[one.file(str(number), make_raw(number), *filings, other)] = owners
        before = store.filings(others, Query(ids=tuple(filed)))
        assert len(before) == len(filed)
        _check_tenancy(store, viewer, filed)
        assert store.filings(others, Query(ids=tuple(filed))) == before


def _check_tenancy(store: Store, viewer: Viewer, filed: dict[int, dict[str, str | None]]) -> None:
    ids = tuple(filed)
    owners = {mail_id: of[viewer.operator] for mail_id, of in filed.items() if viewer.operator in of}
    may = {mail_id for mail_id, user in owners.items() if user is None or user in viewer.users}
    for query in (Query(ids=ids), Query(ids=ids, text="booking"), Query(ids=ids, record="C1"), Query(ids=ids, faulty=True)):
        assert set(_ids(store, query, viewer)) == may
    for mail_id in ids:
        assert (store.source(viewer, mail_id) is not None) == (mail_id in may)
        assert store.link(viewer, mail_id, [_ROME], who="x", because="") == (mail_id in may)
        assert store.unlink(viewer, mail_id, [("reservation", "R1")], who="x") == (mail_id in may)
    assert store.mark(viewer, ids, unread=False) == len(may)
    assert store.mark(viewer, ids, unread=True) == len(may)
    assert store.discard(viewer, ids) == len(may)
    again = {operator: make_filing(operator, user="x", links=[_NORD], faults=[_FAULT]) for operator in (viewer.operator, "other")}
    store.refile(viewer, [(mail_id, filing) for mail_id in ids for filing in again.values()])
    assert set(_ids(store, Query(ids=ids, faulty=True), viewer)) == may
