"""The forwarder ``office365`` against the stand-in: the contract of all forwarders, and mail that is never sent twice (promise P7)."""

from __future__ import annotations

import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from gatewayd import Address, AuthError, DeliveryNote, Notice, PermanentError, TransientError, parse
from gatewayd.message.mail import BytesSource
from gatewayd.message.message_ids import Signer
from gatewayd.outgoing.loops import withheld
from gatewayd.testing.contracts.custodian import make_raw
from gatewayd.testing.contracts.forwarder import ForwarderContract, make_parcel
from gatewayd.testing.graph import Graph
from gatewayd.testing.servers.proxy import FaultProxy
from gatewayd_office365.forwarder import SendingNote
from gatewayd_office365.outgoing_mail import OutgoingMail
from tests.patience import AT_ONCE
from tests.plugins.graph_goal import GraphGoal, Outbox, head
from tests.plugins.graph_site import secret_file
from tests.unit.testing.graph.graph_client import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatewayd import Parcel
    from gatewayd.testing.graph import LoggedRequest


@pytest.fixture(scope="module")
def shared() -> Iterator[Graph]:
    with Graph() as server:
        yield server


@pytest.fixture
def graph(shared: Graph) -> Iterator[Graph]:
    yield shared
    shared.faults.clear()
    shared.on_request = lambda _: None
    knobs = shared.knobs
    knobs.sends_twice = knobs.replaces_message_id = knobs.refuses_send_as = False
    knobs.replaces_message_id_of_drafts = False
    knobs.sent_copy_after = 0.0


class TestOffice365Forwarder(ForwarderContract):
    @pytest.fixture
    def goal(self, graph: Graph) -> Iterator[GraphGoal]:
        with FaultProxy(graph.host, graph.port) as proxy:
            yield GraphGoal(graph, proxy)


@pytest.fixture
def goal(graph: Graph) -> GraphGoal:
    return GraphGoal(graph)


@pytest.fixture
def outbox(goal: GraphGoal) -> Outbox:
    return Outbox(goal)


def large(size: int, number: int = 1) -> Parcel:
    """Return a forward of a mail with a body of so many bytes."""
    raw = make_raw(number) + random.Random(number).randbytes(size)
    return replace(make_parcel(number), source=BytesSource(raw))


# --- who gets it, and what --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mime_bytes", [2 << 20, 0])
def test_P5_those_who_wait_get_it_and_the_original_to_the_byte(outbox: Outbox, goal: GraphGoal, mime_bytes: int) -> None:
    """Also as JSON."""
    parcel = make_parcel(1, to=["a@example.com", "b@example.com", "c@example.com"])
    parcel = replace(parcel, to=("b@example.com", "c@example.com"))
    (receipt,) = outbox.deliver(parcel, mime_bytes=mime_bytes)
    assert {one.state for one in receipt.recipients} == {"delivered"}
    assert sorted(one.recipient for one in goal.copies) == ["b@example.com", "c@example.com"]
    mail = head(goal.copies[0])
    assert (mail["Subject"], mail["From"].addresses[0].addr_spec) == ("Fwd: Booking", "out@example.com")
    (file,) = mail.iter_attachments()
    assert (file.get_filename(), file.get_payload(decode=True)) == ("original.eml", make_raw(1))
    assert "Forwarded by rule 1 of acme" in mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]


def own(*bodies: str, attached: bytes = b"") -> Parcel:
    """Return a mail that we wrote, to one person each of To, Cc and Bcc."""
    alternatives = "".join(f"--x\r\nContent-Type: text/{kind}; charset=utf-8\r\n\r\nBooked {kind}\r\n" for kind in bodies)
    raw = (
        'From: "Acme" <out@example.com>\r\nTo: "Anna, T." <a@example.com>\r\nCc: c@example.com\r\nSubject: =?utf-8?q?R=C3=B6m?=\r\n'
        "Message-ID: <gw.own@example.com>\r\nIn-Reply-To: <q@x>\r\nReferences: <p@x> <q@x> <gw.own.r@example.com>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n"
        f'Content-Type: multipart/alternative; boundary="x"\r\n\r\n{alternatives}--x--\r\n--y\r\n'
        'Content-Type: application/pdf\r\nContent-Disposition: attachment; filename="plan.pdf"\r\n\r\n'
    ).encode()
    parcel = make_parcel(1, to=["a@example.com", "b@example.com", "c@example.com"])
    return replace(parcel, source=BytesSource(raw + attached + b"\r\n--y--\r\n"), mode="as is", hops=())


@pytest.mark.parametrize("mime_bytes", [2 << 20, 0])
def test_mail_of_our_own_goes_to_bcc_too_and_keeps_its_thread(outbox: Outbox, goal: GraphGoal, mime_bytes: int) -> None:
    outbox.deliver(own("plain", "html", attached=b"%PDF"), mime_bytes=mime_bytes)
    assert sorted(one.recipient for one in goal.copies) == ["a@example.com", "b@example.com", "c@example.com"]
    mail = head(goal.copies[0])
    assert (mail["To"].addresses[0].display_name, mail["To"].addresses[0].addr_spec) == ("Anna, T.", "a@example.com")
    assert (mail["Cc"], mail["Bcc"], mail["Subject"]) == ("c@example.com", None, "Röm")
    assert (mail["In-Reply-To"], mail["References"]) == ("<q@x>", "<p@x> <q@x> <gw.own.r@example.com>")
    assert "Booked html" in mail.get_body(("html",)).get_content()  # type: ignore[union-attr]
    (file,) = mail.iter_attachments()
    assert (file.get_filename(), file.get_content()) == ("plan.pdf", b"%PDF")


@pytest.mark.parametrize("size", [3 << 20, 5_000_000, pytest.param(30_000_000, marks=pytest.mark.campaign)])
def test_P5_a_large_mail_is_uploaded_whole(outbox: Outbox, goal: GraphGoal, size: int) -> None:
    """5 MB in pieces; no token goes to the other host, which would refuse it."""
    parcel = large(size)
    assert outbox.words(parcel)[0] == "delivered"
    (file,) = head(goal.copies[0]).iter_attachments()
    assert file.get_payload(decode=True) == parcel.source.read(0, parcel.source.size)
    pieces = -(-parcel.source.size // 3_276_800)
    uploads = goal.graph.log.find("PUT /upload/")[-pieces:]
    assert [one.status for one in uploads] == [*[200] * (pieces - 1), 201]
    assert not any(one.has_authorization for one in uploads)


@pytest.mark.parametrize("mime_bytes", [2 << 20, 0])
def test_a_circle_is_recognised_though_exchange_leaves_no_header_of_ours(outbox: Outbox, goal: GraphGoal, mime_bytes: int) -> None:
    """By the signed Message-ID in References."""
    goal.graph.knobs.replaces_message_id = True
    signer = Signer(b"k" * 32)
    name = signer.message_id("forward", "example.com")
    outbox.deliver(replace(make_parcel(1), message_id=name, hops=()), mime_bytes=mime_bytes)
    (copy,) = goal.copies
    assert head(copy)["Message-ID"] != name
    assert not {"Gatewayd-Hop", "Auto-Submitted"} & {*head(copy)}
    assert withheld(parse(BytesSource(copy.mime)), signer).startswith("it would go in a circle")


def test_what_exchange_can_not_resend_is_refused(outbox: Outbox, goal: GraphGoal) -> None:
    """As a delivery that was entered for another kind of account."""
    state, words = outbox.words(replace(make_parcel(1), mode="inline"))
    assert state == "refused"
    assert words.startswith("Exchange can't resend a mail as it is")
    assert not goal.copies


# --- never twice ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["close", "reset"])
@pytest.mark.parametrize("done", [True, False])
def test_P7_a_lost_answer_to_send_makes_no_second_mail(outbox: Outbox, goal: GraphGoal, way: str, *, done: bool) -> None:
    """Even where Exchange would send it a second time, under a Message-ID of its own."""
    goal.graph.knobs.sends_twice = goal.graph.knobs.replaces_message_id = True
    goal.graph.fail("/send", way, done=done)  # type: ignore[arg-type]
    parcel = make_parcel(1)
    outbox.finish([parcel])
    assert outbox.states([parcel]) == {1: "delivered"}
    assert len(goal.copies) == 1


def test_P7_a_sent_copy_that_comes_late_is_waited_for(outbox: Outbox, goal: GraphGoal) -> None:
    knobs = goal.graph.knobs
    knobs.sends_twice, knobs.sent_copy_after = True, 1e6
    goal.graph.fail("/send", "close", done=True)
    parcel = make_parcel(1)
    for _ in range(3):
        state, words = outbox.words(parcel)
        assert state == "waiting"
    assert words == "Exchange has not said whether it has sent it, and it is looked for"
    goal.graph.place_late_copies()
    assert outbox.words(parcel)[0] == "delivered"
    assert len(goal.copies) == 1


def test_P7_a_sent_copy_is_known_by_our_mark_alone(outbox: Outbox, goal: GraphGoal) -> None:
    """Whatever becomes of its id and of its Message-ID."""
    goal.graph.knobs.replaces_message_id = True
    parcel = make_parcel(1)
    assert outbox.words(parcel)[0] == "delivered"
    outbox.notes[1] = SendingNote(draft="AAkgone=", since=time.time()).text
    (copy,) = goal.mailbox.messages("sentitems")
    assert outbox.words(parcel) == ("delivered", f"Exchange has sent it as {copy.internet_message_id}")
    outbox.notes[2] = SendingNote(draft="AAkgone=", since=time.time()).text
    assert outbox.words(make_parcel(2))[0] == "waiting"
    assert len(goal.copies) == 1


@pytest.mark.parametrize("clock", [-1.0, 1.0])
def test_P7_what_may_have_been_sent_and_is_not_found_is_left_to_a_person(outbox: Outbox, goal: GraphGoal, clock: float) -> None:
    """A person deleted the draft before it was sent, or the copy in Sent Items: nobody can tell. The clock may be set back meanwhile."""
    goal.graph.fail("/send", "close")
    goal.graph.on_request = lambda asked: goal.mailbox.delete(goal.mailbox.messages("drafts")[0]) if "/send" in str(asked) else None
    parcel = make_parcel(1)
    assert outbox.words(parcel)[0] == "waiting"
    note = SendingNote.of(outbox.notes[1])
    assert note is not None
    outbox.notes[1] = replace(note, since=time.time() + clock * 2000).text
    state, words = outbox.words(parcel)
    assert state == "refused"
    assert words == (
        "it may have been sent: the draft is gone, and there is no copy in Sent Items. "
        "Look whether its recipients have it. `gatewayd outbox retry` sends it once more."
    )
    assert not goal.copies


def test_P7_a_draft_that_a_person_moved_is_not_sent(outbox: Outbox, goal: GraphGoal) -> None:
    """And one that was sent and moved is known by its id."""
    goal.graph.fail("/send", "close")
    parcel = make_parcel(1)
    assert outbox.words(parcel)[0] == "waiting"
    (draft,) = goal.mailbox.messages("drafts")
    goal.mailbox.move(draft, "deleteditems")
    assert outbox.words(parcel)[0] == "waiting"
    outbox.notes[1] = SendingNote(draft=draft.immutable_id, since=time.time() - 901).text
    assert outbox.words(parcel)[1].startswith("it may have been sent: the draft was moved.")
    goal.mailbox.move(draft, "drafts")
    goal.graph.fail("/send", "close", done=True)
    assert outbox.words(parcel)[0] == "delivered"
    (sent,) = goal.mailbox.messages("sentitems")
    goal.mailbox.move(sent, "Archive 2026")
    assert outbox.words(parcel)[0] == "delivered"
    assert len(goal.copies) == 1


@pytest.mark.parametrize("place", ["POST /v1.0/users/{}/messages", "PATCH", "/send"])
@pytest.mark.parametrize("done", [True, False])
def test_P7_a_kill_at_any_place_leaves_one_mail_and_no_draft(outbox: Outbox, goal: GraphGoal, place: str, *, done: bool) -> None:
    """The process is gone when a request was carried out, or was not; another one goes on from what is on the disk."""
    graph, parcel, where = goal.graph, make_parcel(1), place.format(goal.mailbox.id)
    graph.knobs.sends_twice = True
    graph.fail(where, "close", done=done)
    with closing(goal.forwarder().open()) as courier:
        graph.on_request = lambda asked: courier.abort() if where in str(asked) else None
        with pytest.raises(TransientError):
            list(courier.deliver([outbox.parcel(parcel)]))
    until(lambda: all(one.ended for one in graph.log.requests))
    outbox.finish([parcel])
    assert outbox.states([parcel]) == {1: "delivered"}
    assert len(goal.copies) == 1
    assert not goal.mailbox.messages("drafts")


@pytest.mark.parametrize("made", [make_parcel, lambda _: own("plain")])
@pytest.mark.parametrize("place", ["POST /v1.0/users/{}/messages", "PATCH"])
def test_P7_no_draft_is_left_behind_though_its_message_id_is_exchanges(
    outbox: Outbox, goal: GraphGoal, place: str, made: Callable[[int], Parcel]
) -> None:
    """The answer to its making was lost, or the process was killed before it had our mark. A person's answer to us stays."""
    graph = goal.graph
    graph.knobs.replaces_message_id_of_drafts = graph.knobs.sends_twice = True
    parcel = replace(made(1), message_id="<gw.own@example.com>")
    ours = OutgoingMail(parcel).references
    answer = f"Subject: Re\r\nReferences: {ours} <their@x.example>\r\nMessage-ID: <a@x>\r\n\r\nDear".encode()
    kept = goal.mailbox.deliver(answer, "drafts")
    where = place.format(goal.mailbox.id)
    graph.fail(where, "close", done=True)
    with closing(goal.forwarder().open()) as courier:
        graph.on_request = lambda asked: courier.abort() if where in str(asked) else None
        with pytest.raises(TransientError):
            list(courier.deliver([outbox.parcel(parcel)]))
    until(lambda: all(one.ended for one in graph.log.requests))
    assert len(goal.mailbox.messages("drafts")) == 2
    outbox.finish([parcel])
    assert [one.immutable_id for one in goal.mailbox.messages("drafts")] == [kept.immutable_id]
    assert {one.recipient for one in goal.copies} == {*parcel.to}
    assert len(goal.copies) == len(parcel.to)


@pytest.mark.parametrize(("status", "code"), [(429, "ApplicationThrottled"), (403, "ErrorAccessDenied")])
def test_P7_what_exchange_refused_to_send_is_sent_as_soon_as_it_may_be(
    outbox: Outbox, goal: GraphGoal, status: int, code: str
) -> None:
    """It is not under way: nobody waits another minute for that."""
    parcel = make_parcel(1)
    apps = [goal.graph.add_app(secret=letter * 40) for letter in "uv"]
    first, other = ({"client": app.client, "secret": secret_file(goal.graph.folder, app.secret)} for app in apps)
    goal.graph.fail("/send", status=status, code=code, Retry_After="11")
    with pytest.raises((TransientError, AuthError)) as caught:
        outbox.deliver(parcel, **first)
    if isinstance(caught.value, TransientError):
        assert caught.value.retry_after == pytest.approx(11, abs=1)
    outbox.age(parcel, -61)
    # Another app of the mailbox need not wait these eleven seconds.
    assert outbox.words(parcel, **other)[0] == "delivered"
    assert len(goal.copies) == 1


def test_P7_from_when_each_request_to_send_begins_it_may_be_under_way(goal: GraphGoal) -> None:
    """Also from when it is made again, some seconds after a 429."""
    parcel, written = make_parcel(1), list[str]()
    goal.graph.fail("/send", status=429, Retry_After="1")
    note = DeliveryNote("", written.append)
    with closing(goal.forwarder().open()) as courier:
        (receipt,) = courier.deliver([replace(parcel, note=note)])
    assert receipt.recipients[0].state == "delivered"
    begun, first, second = (one for text in written if (one := SendingNote.of(text)) is not None)
    assert (begun.draft, first.draft, first.is_asked, second.is_asked) == ("", second.draft, True, True)
    assert second.since >= first.since + 1
    # A note of a former version has no word about it.
    assert SendingNote.of('{"draft": "AAk=", "since": 1.5}') == SendingNote(draft="AAk=", since=1.5)


def test_P7_what_was_asked_a_moment_ago_is_not_asked_again(outbox: Outbox, goal: GraphGoal) -> None:
    """The request of a process that was killed may be under way."""
    goal.graph.fail("/send", "close")
    assert outbox.words(make_parcel(1))[0] == "waiting"
    outbox.age(make_parcel(1), -61)
    assert outbox.words(make_parcel(1))[0] == "waiting"
    assert len(goal.graph.log.find(f"{goal.mailbox.id}/messages/")) > 2
    assert not goal.copies
    assert outbox.words(make_parcel(1))[0] == "delivered"


@pytest.mark.parametrize("count", [60, pytest.param(300, marks=pytest.mark.campaign)])
def test_P7_mails_with_answers_lost_and_refused_and_kills_arrive_once_each(outbox: Outbox, goal: GraphGoal, count: int) -> None:
    """Lost before and after a request was carried out, 429, 503, 504, and couriers that are gone, at seeded places."""
    graph, chance = goal.graph, random.Random(11)
    graph.knobs.sends_twice = graph.knobs.replaces_message_id = True
    parcels = [make_parcel(number) for number in range(1, count + 1)]
    for place in (f"POST /v1.0/users/{goal.mailbox.id}/messages", "PATCH", "/send"):
        for number in range(count // 6):
            way, status = chance.choice([("close", 0), ("reset", 0), ("cut", 0), ("answer", 429), ("answer", 503), ("answer", 504)])
            after, done = number and chance.randrange(3, 7), status != 429 and chance.random() < 0.5
            graph.fail(place, way, status=status or 503, done=done, after=after, Retry_After="0")  # type: ignore[arg-type]

    def seen(asked: LoggedRequest) -> None:
        if asked.mailbox == goal.mailbox.id and chance.random() < 0.03:
            kills.append(str(asked))
            outbox.kill()

    kills: list[str] = []
    graph.on_request = seen
    outbox.finish(parcels, tries=3 * count)
    answered = {one.status for one in graph.log.requests if one.mailbox == goal.mailbox.id}
    assert answered >= {0, 202, 429, 503, 504}
    assert len(kills) >= count // 20
    assert Counter(outbox.states(parcels).values()) == {"delivered": count}
    assert len(goal.copies) == count
    assert len({one.message_id for one in goal.copies}) == count
    originals = {next(head(one).iter_attachments()).get_payload(decode=True) for one in goal.copies}
    assert originals == {make_raw(number) for number in range(1, count + 1)}
    assert not goal.mailbox.messages("drafts")


# --- what Exchange refuses --------------------------------------------------------------------------------------------


def test_P7_what_exchange_refuses_is_refused_with_its_words_and_leaves_no_draft(outbox: Outbox, goal: GraphGoal) -> None:
    goal.graph.knobs.refuses_send_as = True
    goal.mailbox.send_as.clear()
    state, words = outbox.words(make_parcel(1))
    assert state == "refused"
    assert "the mailbox may not send as this From (ErrorSendAsDenied" in words
    assert "does not have the right to send mail on behalf of the sender" in words
    assert words.endswith("Send as the mailbox itself, or grant Send As in the Exchange admin center, Mailboxes, Delegation.")
    for status, code in ((413, "ErrorMessageSizeExceeded"), (400, "ErrorInvalidRecipients"), (400, "ErrorSomethingNew")):
        goal.graph.fail("/send", status=status, code=code)
        state, words = outbox.words(make_parcel(2))
        assert (state, code in words) == ("refused", True)
        outbox.notes.clear()
    assert not goal.copies
    assert not goal.mailbox.messages("drafts")
    assert outbox.words(make_parcel(3, to=["no address"]))[0] == "refused"


def test_P7_a_mail_that_exchange_does_not_take_now_waits_alone(outbox: Outbox, goal: GraphGoal) -> None:
    """The one behind it goes."""
    goal.graph.fail(f"POST /v1.0/users/{goal.mailbox.id}/messages", status=503, Retry_After="0")
    first, second = outbox.deliver(make_parcel(1), make_parcel(2))
    assert [first.recipients[0].state, second.recipients[0].state] == ["waiting", "delivered"]
    assert first.retry_after == 0
    assert "Exchange is not available (ServiceUnavailable" in first.recipients[0].words


@pytest.mark.parametrize(
    ("status", "state"), [(503, "waiting"), (404, "waiting"), (429, "waiting"), (400, "refused"), (200, "waiting")]
)
def test_P7_an_upload_that_fails_leaves_no_draft_and_no_half_a_mail(
    outbox: Outbox, goal: GraphGoal, status: int, state: str
) -> None:
    """An upload that ends with 200 has not ended."""
    goal.graph.fail("PUT /upload/", status=status, code="ErrorOfUpload", after=1, Retry_After="7", done=status == 200)
    parcel = large(5_000_000)
    (receipt,) = outbox.deliver(parcel)
    assert receipt.recipients[0].state == state
    if status != 200:
        assert f"a file is refused (HTTP {status})" in receipt.recipients[0].words
    assert receipt.retry_after == (7 if state == "waiting" and status != 200 else None)
    assert not goal.mailbox.messages("drafts")
    assert not goal.copies
    outbox.notes.clear()
    assert outbox.words(parcel)[0] == "delivered"


def test_P7_an_upload_is_broken_off_at_once(outbox: Outbox, goal: GraphGoal) -> None:
    """And the one of the next try is whole."""
    goal.graph.fail("PUT /upload/", "stall", after=1)
    with ThreadPoolExecutor(1) as thread:
        waits = thread.submit(outbox.deliver, large(5_000_000))
        until(lambda: len([one for one in goal.graph.log.find("PUT /upload/") if not one.ended]) == 1)
        outbox.kill()
        with pytest.raises(TransientError):
            waits.result(AT_ONCE)
    outbox.finish([large(5_000_000)])
    assert len(goal.copies) == 1
    assert not goal.mailbox.messages("drafts")


def test_P7_what_can_not_be_looked_for_is_not_given_up(outbox: Outbox, goal: GraphGoal) -> None:
    goal.graph.fail("/send", "close", done=True)
    goal.graph.fail("GET", status=400, code="ErrorSomethingNew", times=2)
    for _ in range(2):
        state, words = outbox.words(make_parcel(1))
        assert state == "waiting"
        assert words.startswith("it may have been sent, and it can't be looked for: ")
    assert outbox.words(make_parcel(1))[0] == "delivered"
    assert len(goal.copies) == 1


def test_drafts_that_can_not_be_looked_for_do_not_keep_a_mail_that_was_surely_not_sent(outbox: Outbox, goal: GraphGoal) -> None:
    """They are left behind, and do no harm."""
    outbox.notes[1] = SendingNote().text
    goal.graph.fail("mailFolders/drafts", status=400, code="ErrorInvalidUrlQueryFilter", times=2)
    assert outbox.words(make_parcel(1))[0] == "delivered"
    assert len(goal.copies) == 1


@pytest.mark.parametrize("place", ["/send", "PATCH", "/messages"])
def test_where_exchange_asks_for_patience_the_mail_waits_so_long(outbox: Outbox, goal: GraphGoal, place: str) -> None:
    goal.graph.fail(place, status=429, Retry_After="3000")
    # One of its own: the whole app has to wait.
    app = goal.graph.add_app(secret="s" * 40)
    with pytest.raises(TransientError) as caught:
        outbox.deliver(make_parcel(1), client=app.client, secret=secret_file(goal.graph.folder, app.secret))
    assert caught.value.retry_after == pytest.approx(3000, abs=200)
    assert not goal.copies


def test_an_app_that_may_not_send_is_at_fault_itself(goal: GraphGoal, outbox: Outbox) -> None:
    goal.graph.fail("/send", status=403, code="ErrorAccessDenied")
    with pytest.raises(AuthError, match="the app may not do this in the mailbox"):
        outbox.deliver(make_parcel(1))
    assert outbox.words(make_parcel(1))[0] == "delivered"


def test_what_keeps_mail_from_being_sent_is_told_before(goal: GraphGoal) -> None:
    app = goal.graph.add_app(secret="t" * 40)
    named = {"client": app.client, "secret": secret_file(goal.graph.folder, app.secret)}

    def problems(**changed: object) -> list[str]:
        with closing(goal.forwarder(**changed).open()) as courier:
            return [*courier.problems()]

    assert problems() == []
    app.roles = {"Mail.Read"}
    (told,) = problems(**named)
    assert told.startswith(
        "to send needs the permission Mail.ReadWrite and Mail.Send, and the access token has Mail.Read: grant it in"
    )
    # What RBAC grants in Exchange stands in no token.
    app.granted[goal.mailbox.id] = {"Mail.ReadWrite"}
    (told,) = problems(**named)
    assert told.startswith("to send needs the permission Mail.Send, and the access token has Mail.Read: grant it in")
    app.granted[goal.mailbox.id] = {"Mail.ReadWrite", "Mail.Send"}
    assert problems(**named) == []
    goal.mailbox.is_licensed = False
    (told,) = problems()
    assert "the user has no mailbox in Exchange Online (MailboxNotEnabledForRESTAPI" in told
    assert not goal.copies


# --- notices ----------------------------------------------------------------------------------------------------------


def test_administrators_get_notices(goal: GraphGoal) -> None:
    notice = Notice(
        message_id="<n@x>",
        at=datetime.now(UTC),
        host="gw1",
        sender=Address(name="", email="out@example.com"),
        to=("root@example.com", "anna@example.com"),
    )
    with closing(goal.forwarder().open()) as courier:
        assert courier.notify(notice) == []
        assert sorted(one.recipient for one in goal.copies) == ["anna@example.com", "root@example.com"]
        goal.graph.fail("/send", status=400, code="ErrorInvalidRecipients")
        with pytest.raises(PermanentError, match="an address of a recipient is refused"):
            courier.notify(notice)
    assert not goal.mailbox.messages("drafts")
