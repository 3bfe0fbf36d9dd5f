"""The desk: what people do with mail, each answer for its viewer alone (P6), and errors that people can read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gatewayd import Held, PermanentError, Query, TransientError, Viewer
from gatewayd.config import ImportConfig
from gatewayd.importing.backfilling import Backfill, file_old
from gatewayd.importing.outcomes import AccountRouting
from gatewayd.matching import LocalMatching
from gatewayd.message.mail import BytesSource
from gatewayd.runtime.events import Events
from gatewayd.testing import FakeDirectory, FakeTransport, make_contact, make_record
from gatewayd.testing.contracts.custodian import make_raw
from tests.unit.kernel import BOOKING, Gateway, directory, links_all, matcher, registry, spec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gatewayd import Directory, Finding, Lease, Mail

ACME, GLOBETROT = Viewer(operator="acme"), Viewer(operator="globetrot")
NORD, SUD = make_record("customer", "C1", "Nord GmbH"), make_record("customer", "C2", "Süd AG")
CONTACT = make_contact(NORD, "anna@example.com", contact_type="sales")


class Temper:
    """A matcher that raises while it is cross."""

    cross = True

    def match(self, mails: Sequence[Mail], known: Directory) -> Sequence[Finding]:
        if self.cross:
            raise ValueError("too cross to match")
        return list(links_all(mails, known))


class Moody(FakeDirectory):
    down = False

    def find(self, *asked: Any, **more: Any) -> Any:
        if Moody.down:
            raise TransientError("the directory's server is away")
        return super().find(*asked, **more)

    def search(self, *asked: Any, **more: Any) -> Any:
        if Moody.down:
            raise KeyError("index")
        return super().search(*asked, **more)


@pytest.fixture
def temper() -> Temper:
    return Temper()


@pytest.fixture
def gateway(tmp_path: Path, temper: Temper) -> Iterator[Gateway]:
    transport = FakeTransport(account="main")
    for number in range(1, 4):
        transport.deliver(make_raw(number, subject=f"Booking {number}"))
    Moody.down = False
    plugins = [matcher("moody", temper.match), matcher("calm", links_all), directory([NORD, SUD, BOOKING], [CONTACT], base=Moody)]
    specs = [spec("acme", "moody", known=True), spec("globetrot", bare=True)]
    with Gateway(tmp_path, transport, plugins=plugins, specs=specs, imports=ImportConfig(error_queue="front")) as gateway:
        gateway.good()
        yield gateway


def ids(gateway: Gateway) -> list[int]:
    return sorted(one.id for one in gateway.filings())


def queued(gateway: Gateway, viewer: Viewer = ACME) -> dict[int, str | None]:
    return {one.id: one.queue for one in gateway.desk.list(viewer, Query(faulty=True))}


# --- opening --------------------------------------------------------------------------------------------------------------


def test_mail_is_opened_from_its_raw_bytes(gateway: Gateway) -> None:
    first = ids(gateway)[0]
    mail = gateway.desk.mail(ACME, first)
    assert (mail.id, mail.subject) == (first, "Booking 1")
    assert mail.received_at == gateway.desk.get(ACME, first).received_at
    assert b"".join(mail.raw()) == gateway.transport.raw()[0]
    assert gateway.desk.source(ACME, first).size == len(gateway.transport.raw()[0])


def test_P6_what_a_viewer_has_not_is_not_there(gateway: Gateway) -> None:
    stranger = Viewer(operator="nobody")
    asked: list[Any] = [
        lambda: gateway.desk.get(stranger, 1),
        lambda: gateway.desk.mail(stranger, 1),
        lambda: gateway.desk.source(stranger, 1),
        lambda: gateway.desk.attachment(stranger, 1, 1),
        lambda: gateway.desk.link(stranger, 1, "customer", ["C1"], who="irina"),
        lambda: gateway.desk.unlink(stranger, 1, "customer", ["C1"], who="irina"),
    ]
    for ask in asked:
        with pytest.raises(PermanentError, match="operator nobody has no mail 1"):
            ask()
    assert gateway.desk.list(stranger, Query()) == []


def test_attachments_are_counted_from_one(tmp_path: Path) -> None:
    raw = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nhi\r\n--b\r\n"
        b"Content-Disposition: attachment; filename=a.bin\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--b--\r\n"
    )
    transport = FakeTransport()
    transport.deliver(raw)
    transport.deliver(make_raw(1))
    with Gateway(tmp_path, transport) as gateway:
        gateway.good()
        first, second = ids(gateway)
        assert b"".join(gateway.desk.attachment(ACME, first, 1)) == b"hello"
        for number in (0, 2, -1):
            with pytest.raises(PermanentError, match=f"has no attachment {number}: it has 1"):
                gateway.desk.attachment(ACME, first, number)
        with pytest.raises(PermanentError, match="has no attachment 1: it has none"):
            gateway.desk.attachment(ACME, second, 1)


# --- linking --------------------------------------------------------------------------------------------------------------


def test_links_by_hand_are_records_of_the_directory_and_say_by_whom(gateway: Gateway) -> None:
    mail_id = ids(gateway)[0]
    assert gateway.desk.link(ACME, mail_id, "customer", ["C1", "C2"], who="irina") == 2
    assert gateway.desk.link(ACME, mail_id, "customer", ["C1"], who="irina") == 0
    links = gateway.desk.get(ACME, mail_id).links
    assert {(link.id, link.label, link.by) for link in links} == {
        ("C1", "Nord GmbH", "person:irina"),
        ("C2", "Süd AG", "person:irina"),
    }
    assert gateway.desk.unlink(ACME, mail_id, "customer", ["C2", "C9"], who="irina") == 1
    assert [link.id for link in gateway.desk.get(ACME, mail_id).links] == ["C1"]
    assert all(link.kind == "reservation" for link in gateway.desk.get(GLOBETROT, mail_id).links), "P6"


def test_nothing_is_linked_where_one_record_is_unknown(gateway: Gateway) -> None:
    mail_id = ids(gateway)[0]
    with pytest.raises(PermanentError, match="the directory of acme has no customer C8, C9"):
        gateway.desk.link(ACME, mail_id, "customer", ["C1", "C8", "C9"], who="irina")
    assert gateway.desk.get(ACME, mail_id).links == ()
    with pytest.raises(PermanentError, match="globetrot has no directory"):
        gateway.desk.link(GLOBETROT, mail_id, "customer", ["C1"], who="irina")


def test_a_directory_that_is_down_is_an_error_that_people_can_read(gateway: Gateway) -> None:
    assert [one.id for one in gateway.desk.search("acme", "customer", "nord", limit=5)] == ["C1"]
    Moody.down = True
    with pytest.raises(TransientError, match="the directory of acme can't answer: the directory's server is away"):
        gateway.desk.link(ACME, ids(gateway)[0], "customer", ["C1"], who="irina")
    with pytest.raises(TransientError, match="can't answer: KeyError"):
        gateway.desk.search("acme", "customer", "nord", limit=5)


def test_explain_says_what_matchers_say_and_keeps_nothing(gateway: Gateway, temper: Temper) -> None:
    temper.cross = False
    found = gateway.desk.explain("acme", BytesSource(make_raw(9, subject="New")))
    assert (found.mail.subject, [by for by, _ in found.findings.links]) == ("New", ["moody"])
    assert len(ids(gateway)) == 3


# --- the error queue ------------------------------------------------------------------------------------------------------


def test_what_fails_again_stays_in_its_queue_and_a_retry_ends(gateway: Gateway) -> None:
    before = queued(gateway)
    assert before == dict.fromkeys(ids(gateway), "front")
    gateway.desk.link(ACME, ids(gateway)[0], "customer", ["C1"], who="irina")
    batches = list(gateway.desk.retry(ACME, None))
    assert [len(batch) for batch in batches] == [3]
    assert queued(gateway) == before
    assert [link.id for link in gateway.desk.get(ACME, ids(gateway)[0]).links] == ["C1"], "links by hand stay"
    faults = [one.faults for one in gateway.desk.list(ACME, Query(faulty=True))]
    assert all(len(each) == 1 for each in faults), "the new fault takes the old one's place"


def test_a_retry_ends_where_more_fails_than_one_batch_holds(tmp_path: Path, temper: Temper) -> None:
    transport = FakeTransport()
    for number in range(230):
        transport.deliver(make_raw(number))
    with Gateway(tmp_path, transport, plugins=[matcher("moody", temper.match)], specs=[spec("acme", "moody")]) as gateway:
        gateway.good()
        assert [len(batch) for batch in gateway.desk.retry(ACME, None)] == [100, 100, 30]
        temper.cross = False
        assert sum(len(batch) for batch in gateway.desk.retry(ACME, None)) == 230
        assert queued(gateway) == {}


def test_what_is_mended_leaves_the_queue_and_is_linked(gateway: Gateway, temper: Temper) -> None:
    first, second, third = ids(gateway)
    temper.cross = False
    ((mended,),) = gateway.desk.retry(ACME, [second])
    assert (mended.id, mended.queue, [link.id for link in mended.links]) == (second, None, ["R9"])
    assert queued(gateway) == {first: "front", third: "front"}
    assert list(gateway.desk.retry(ACME, [second])) == [], "it is in no queue any more"
    assert list(gateway.desk.retry(ACME, None, "another queue")) == []
    assert [[one.id for one in batch] for batch in gateway.desk.retry(ACME, None, "front")] == [[third, first]]


def test_P6_a_retry_keeps_personal_mail_personal(tmp_path: Path, temper: Temper) -> None:
    transport = FakeTransport()
    transport.deliver(make_raw(1))
    plugins = [matcher("moody", temper.match)]
    with Gateway(tmp_path, transport, plugins=plugins, specs=[spec("acme", "moody")], user="irina") as gateway:
        gateway.good()
        assert list(gateway.desk.retry(ACME, None)) == [], "nobody retries what he may not see"
        irina = Viewer(operator="acme", users=("irina",))
        ((retried,),) = gateway.desk.retry(irina, None)
        assert (retried.user, retried.queue) == ("irina", "errors")
        temper.cross = False
        ((mended,),) = gateway.desk.retry(irina, None)
        assert (mended.user, mended.queue) == ("irina", None)
        assert gateway.filings("acme") == []


# --- an operator that came later --------------------------------------------------------------------------------------------


def lease(gateway: Gateway) -> Lease:
    taken = gateway.store.take_lease("main", gateway.owner.name, dead=lambda _: False)
    assert not isinstance(taken, Held)
    return taken


def later(gateway: Gateway, *, down: bool = False, **imports: Any) -> list[int]:
    """File the account's old mail for the operator ``later``."""

    class Down(FakeDirectory):
        def contacts(self, *asked: Any, **more: Any) -> Any:
            if down:
                raise TransientError("away")
            return super().contacts(*asked, **more)

    matching = LocalMatching(registry(matcher("calm", links_all), directory([], [CONTACT], base=Down)))
    taken = lease(gateway)
    try:
        old = Backfill(
            store=gateway.store,
            matching=matching,
            spec=spec("later", "calm", known=True),
            lease=taken,
            imports=ImportConfig(**imports),
            user=None,
            routing=AccountRouting(),
            events=Events(),
            keep_alive=lambda: None,
        )
        return list(file_old(old))
    finally:
        gateway.store.release(taken)


def test_old_mail_is_filed_once_for_an_operator_that_came_later(gateway: Gateway) -> None:
    assert gateway.filings("later") == []
    assert later(gateway) == [3]
    assert [[link.id for link in one.links] for one in gateway.filings("later")] == [["R9"]] * 3
    assert later(gateway) == []
    assert len(gateway.filings("acme")) == 3


def test_old_mail_that_the_operator_would_not_admit_is_not_filed(gateway: Gateway) -> None:
    gateway.transport.deliver(make_raw(9, sender="stranger@example.com"))
    gateway.good()
    assert later(gateway, contact_types={"customer": ("sales",)}) == [3]
    assert len(gateway.filings("later")) == 3
    assert later(gateway, contact_types={"customer": ("sales",)}) == [0]


def test_old_mail_waits_while_admission_is_undecided(gateway: Gateway) -> None:
    with pytest.raises(TransientError, match="operator later: away"):
        later(gateway, down=True, contact_types={"customer": ("sales",)})
    assert gateway.filings("later") == []
