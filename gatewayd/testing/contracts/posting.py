"""Tests of every store: mail that we send ourselves, answers to it, and deliveries that are entered with filings."""

# ruff: noqa: N802  tests are made of expected numbers and named after promises

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from gatewayd import DeliveryQuery, FilingFault, Follows, Outgoing, PermanentError, Query, Record, Viewer
from gatewayd.message.mail import BytesSource, parse
from gatewayd.testing.contracts.custodian import (
    ACME,
    GLOBETROT,
    IRINA,
    Custodian,
    make_delivery,
    make_filing,
    make_listing,
    make_raw,
)
from gatewayd.testing.contracts.outbox import settled, take

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewayd import Delivery, Filing, Posted, Store

__all__ = ["PostingContract"]

_C1 = Record(kind="customer", id="C1", label="Nord")
_R1 = Record(kind="reservation", id="R1", label="Rome")
_R2 = Record(kind="reservation", id="R2", label="Oslo")


def post(
    store: Store,
    number: int = 1000,
    *,
    viewer: Viewer = ACME,
    account: str = "out",
    user: str | None = None,
    answers: int | None = None,
) -> Posted:
    """Post a mail of our own, with the Message-ID ``<NUMBER@example.com>``."""
    raw = make_raw(number)
    outgoing = Outgoing(
        mail=parse(BytesSource(raw), mail_id=0), digest=sha256(raw).digest(), account=account, user=user, answers=answers
    )
    return store.post(viewer, outgoing, replace(_own(number), account=account))


def _own(number: int) -> Delivery:
    return replace(make_delivery(number), mode="as is", message_id=f"<{number}@example.com>")


def following(*numbers: int, operator: str = "acme", user: str | None = None, links: Sequence[Record] = ()) -> Filing:
    """Return a filing of a mail that answers mails of our own."""
    follows = tuple(("threads", Follows(0, f"<{number}@example.com>", f"it answers {number}")) for number in numbers)
    return replace(make_filing(operator, user=user, links=links), follows=follows)


def links(store: Store, mail_id: int, viewer: Viewer = ACME) -> set[tuple[str, str, str]]:
    """Return the links of a filing: id, by whom, because of what."""
    (found,) = store.filings(viewer, Query(ids=(mail_id,)))
    return {(each.id, each.by, each.because) for each in found.links}


class PostingContract:
    """Part of ``StoreContract``."""

    def test_P2_a_mail_of_our_own_is_filed_with_its_delivery(self, store: Store) -> None:
        posted = post(store)
        (seen,) = store.filings(ACME, Query())
        assert (seen.id, seen.operator, seen.user, seen.direction, seen.unread) == (posted.mail_id, "acme", None, "out", False)
        assert (seen.account, seen.folder, seen.key) == ("out", "outbox", "<1000@example.com>")
        assert (seen.message_id, seen.subject, seen.links, seen.queue) == ("<1000@example.com>", "Booking", (), None)
        ((taken),) = take(store)
        assert (taken.id, taken.mail_id, taken.delivery) == (posted.delivery_id, posted.mail_id, _own(1000))
        assert taken.source.read(0, taken.source.size) == make_raw(1000)
        assert store.known("out", "outbox", ["<1000@example.com>"])["<1000@example.com>"].state == "filed"
        assert store.entries("out", "filed", after=0, limit=9)[0].id == posted.mail_id
        with pytest.raises(PermanentError, match=r"account out has sent a mail with the Message-ID <1000@example\.com> before"):
            post(store)
        raw = make_raw(1000)
        again = Outgoing(mail=parse(BytesSource(raw), mail_id=0), digest=sha256(raw).digest(), account="out")
        with pytest.raises(PermanentError, match="account out has sent the same bytes before"):
            store.post(ACME, again, make_delivery(7))
        assert len(store.filings(ACME, Query())) == len(store.deliveries(ACME, DeliveryQuery())) == 1
        assert store.entries("out", "waiting", after=0, limit=9) == []

    def test_P1_what_is_sent_disturbs_no_import(self, store: Store, shared: Custodian) -> None:
        shared.file("1", make_raw(1))
        before = store.audit("shared", {"INBOX": make_listing("1")}), store.lengths().waiting
        post(store)
        assert (store.audit("shared", {"INBOX": make_listing("1")}), store.lengths().waiting) == before
        assert shared.file("2", make_raw(1000))
        assert shared.states() == {"1": "filed", "2": "filed"}, "what comes back by another account is mail of its own"
        (audit,) = store.audit("out", {})
        assert (audit.folder, audit.states, audit.proven) == ("outbox", {"filed": 1}, True)

    def test_an_answer_inherits_links_but_those_taken_away(self, store: Store, shared: Custodian) -> None:
        mail_id = shared.file("1", make_raw(1), make_filing(links=[_C1, _R1]), make_filing("globetrot", links=[_R2]))
        store.unlink(ACME, mail_id, [("reservation", "R1")], who="anna")
        store.link(ACME, mail_id, [_R2], who="anna", because="she knows")
        posted = post(store, answers=mail_id)
        because = f"of mail {mail_id}, which this mail answers"
        expected = {("C1", "contacts", because), ("R2", "person:anna", because)}
        assert links(store, posted.mail_id) == expected
        assert all(audit.proven for audit in store.audit("out", {}))
        store.refile(ACME, [(posted.mail_id, make_filing())])
        assert links(store, posted.mail_id) == expected, "a person chose what is answered, so no matcher undoes it"
        assert links(store, post(store, 1001).mail_id) == set()

    def test_P6_an_answer_inherits_from_no_other_operator_or_user(self, store: Store, shared: Custodian) -> None:
        personal = shared.file("1", make_raw(1), make_filing(user="irina", links=[_C1]))
        foreign = shared.file("2", make_raw(2), make_filing("globetrot", links=[_C1]))
        both = replace(IRINA, users=("irina", "bob"))
        for number, (viewer, user, mail_id) in enumerate(
            [(ACME, None, personal), (IRINA, None, personal), (both, "bob", personal), (IRINA, None, foreign)]
        ):
            posted = post(store, 1000 + number, viewer=viewer, user=user, answers=mail_id)
            assert links(store, posted.mail_id, both) == set()
        assert links(store, post(store, 1010, viewer=IRINA, user="irina", answers=personal).mail_id, IRINA)

    def test_P6_nobody_sends_a_mail_of_another_user_but_to_answer_one_that_is_shown(self, store: Store, shared: Custodian) -> None:
        general, hers = shared.file("1", make_raw(1)), shared.file("2", make_raw(2), make_filing(user="irina"))
        bob = Viewer(operator="acme", users=("bob",))
        for number, (viewer, answers) in enumerate([(ACME, None), (ACME, hers), (bob, None), (bob, general), (bob, hers)]):
            with pytest.raises(PermanentError, match="not for others of operator acme to send"):
                post(store, 1000 + number, viewer=viewer, user="irina", answers=answers)
        assert {one.id for one in store.filings(IRINA, Query())} == {general, hers}
        posted = post(store, 1010, viewer=replace(bob, shared=(("shared", "irina"),)), user="irina", answers=hers)
        (seen,) = store.filings(IRINA, Query(ids=(posted.mail_id,)))
        assert seen.user == "irina", "who was shown her mail answers it for her"

    def test_what_answers_our_mail_inherits_its_links(self, store: Store, shared: Custodian) -> None:
        first, second = post(store, 1000).mail_id, post(store, 1001).mail_id
        store.link(ACME, first, [_C1, _R1], who="anna", because="hers")
        store.link(ACME, second, [_R1, _R2], who="anna", because="hers")
        store.unlink(ACME, second, [("reservation", "R2")], who="anna")
        shared.enter("1", "2", "3")
        shared.commit(
            shared.outcome("1", make_raw(1), following(1000)),
            shared.outcome("2", make_raw(2), following(1001, 1000, links=[_C1])),
            shared.outcome("3", make_raw(3), following(1)),
        )
        third, both, answer = (each.id for each in store.filings(ACME, Query(account="shared")))
        assert links(store, answer) == {("C1", "threads", "it answers 1000"), ("R1", "threads", "it answers 1000")}
        expected = {("C1", "contacts", "because of C1"), ("R1", "threads", "it answers 1001")}
        assert links(store, both) == expected, "what is said first stands"
        assert links(store, third) == set(), "mail that came in is followed by nobody"

    def test_P6_only_the_operators_own_mail_is_followed(self, store: Store, shared: Custodian) -> None:
        own = post(store, 1000, viewer=IRINA, user="irina").mail_id
        theirs = post(store, 1001, viewer=GLOBETROT).mail_id
        store.link(IRINA, own, [_C1], who="irina", because="hers")
        store.link(GLOBETROT, theirs, [_R1], who="gus", because="his")
        general = shared.file("1", make_raw(1), following(1000, 1001), following(1000, 1001, operator="globetrot"))
        bobs = shared.file("2", make_raw(2), following(1000, user="bob"))
        hers = shared.file("3", make_raw(3), following(1000, user="irina"))
        assert links(store, general) == links(store, bobs, IRINA) == set()
        assert links(store, general, GLOBETROT) == {("R1", "threads", "it answers 1001")}
        assert links(store, hers, IRINA) == {("C1", "threads", "it answers 1000")}

    def test_P6_what_a_filing_will_inherit_is_told_before_it_is_filed(self, store: Store) -> None:
        ours, hers = post(store, 1000).mail_id, post(store, 1001, viewer=IRINA, user="irina").mail_id
        theirs = post(store, 1002, viewer=GLOBETROT).mail_id
        post(store, 1003)
        store.link(ACME, ours, [_C1, _R1], who="anna", because="hers")
        store.unlink(ACME, ours, [("reservation", "R1")], who="anna")
        store.link(IRINA, hers, [_R2], who="irina", because="hers")
        store.link(GLOBETROT, theirs, [_R1], who="gus", because="his")
        Custodian.of(store).file("1", make_raw(1), make_filing(links=[_R1]))
        wanted = {
            (operator, user, f"<{number}@example.com>")
            for operator in ("acme", "globetrot", "third")
            for user in (None, "irina", "bob")
            for number in (1, 1000, 1001, 1002, 1003, 1004)
        }
        assert store.inheritable(wanted) == {
            **{("acme", user, "<1000@example.com>"): [_C1] for user in (None, "irina", "bob")},
            ("acme", "irina", "<1001@example.com>"): [_R2],
            **{("globetrot", user, "<1002@example.com>"): [_R1] for user in (None, "irina", "bob")},
        }
        assert store.inheritable([]) == {}

    def test_matching_again_follows_again(self, store: Store, shared: Custodian) -> None:
        own = post(store, 1000).mail_id
        store.link(ACME, own, [_C1, _R1], who="anna", because="hers")
        mail_id = shared.file("1", make_raw(1))
        store.refile(ACME, [(mail_id, following(1000))])
        assert {each[0] for each in links(store, mail_id)} == {"C1", "R1"}
        store.unlink(ACME, mail_id, [("customer", "C1")], who="anna")
        store.unlink(ACME, own, [("reservation", "R1")], who="anna")
        store.link(ACME, own, [_R2], who="anna", because="hers")
        store.refile(ACME, [(mail_id, following(1000))])
        assert {each[0] for each in links(store, mail_id)} == {"R2"}, "what a person has unlinked stays unlinked"
        store.refile(ACME, [(mail_id, make_filing())])
        assert links(store, mail_id) == set()
        later = shared.file("2", make_raw(2))
        assert len(store.add_filings(shared.lease, [(later, following(1000, operator="globetrot"))])) == 1
        assert links(store, later, GLOBETROT) == set()

    def test_P2_deliveries_are_entered_with_what_caused_them(self, store: Store, shared: Custodian) -> None:
        rules = tuple(make_delivery(number, target="duty", cause=f"rule {number}") for number in (1, 2, 1))
        filings = [replace(make_filing(operator), deliveries=rules) for operator in ("acme", "globetrot")]
        mail_id = shared.file("1", make_raw(1), *filings)
        shared.file("2", make_raw(1), *filings)
        found = take(store)
        assert [(each.operator, each.mail_id, each.delivery.cause) for each in found] == [
            (operator, mail_id, cause) for operator in ("acme", "globetrot") for cause in ("rule 1", "rule 2")
        ]
        store.refile(ACME, [(mail_id, replace(filings[0], faults=(FilingFault("a", "b"),)))])
        assert take(store) == [], "what was entered before is not entered again"
        third = make_delivery(3, target="duty", cause="rule 3")
        store.refile(ACME, [(mail_id, replace(filings[0], deliveries=(third,))), (mail_id + 1, filings[0])])
        assert len(store.add_filings(shared.lease, [(mail_id, replace(make_filing("third"), deliveries=rules[:1]))])) == 1
        assert len(store.add_filings(shared.lease, [(mail_id, replace(make_filing("third"), deliveries=(third,)))])) == 0
        assert [(each.operator, each.delivery.cause) for each in take(store)] == [("acme", "rule 3"), ("third", "rule 1")]

    def test_P6_the_store_knows_whose_delivery_it_is(self, store: Store, shared: Custodian) -> None:
        hers = shared.file("1", make_raw(1), make_filing(user="irina"))
        theirs = shared.file("2", make_raw(2), make_filing("acme"), make_filing("globetrot"))
        store.deliver(IRINA, hers, [make_delivery(1)])
        store.deliver(GLOBETROT, theirs, [make_delivery(2)])
        found = store.origins([make_delivery(number).message_id for number in (1, 2, 3)], [])
        assert {(each.message_id, each.operator, each.user) for each in found} == {
            (make_delivery(1).message_id, "acme", "irina"),
            (make_delivery(2).message_id, "globetrot", None),
        }
        assert list(store.origins([], [])) == []

    def test_a_delivery_is_known_by_the_ids_that_servers_gave_it(self, store: Store) -> None:
        mail_id = Custodian.of(store).file("1", make_raw(1), make_filing(user="irina"))
        store.deliver(IRINA, mail_id, [make_delivery(1)])
        (taken,) = take(store)
        again = replace(settled(taken, "waiting"), server_ids=("one", "tw\0o"))
        assert store.settle("one", [again]) == {taken.id}
        assert store.settle("two", [replace(again, server_ids=("late",))]) == frozenset()
        (taken,) = take(store)
        store.settle("one", [replace(settled(taken, "delivered"), server_ids=("one",))])
        found = store.origins([], ["one", "tw\0o", "late", "foreign"])
        assert sorted((each.server_id, each.message_id, each.user) for each in found) == [
            ("one", make_delivery(1).message_id, "irina"),
            ("tw\ufffdo", make_delivery(1).message_id, "irina"),
        ]
