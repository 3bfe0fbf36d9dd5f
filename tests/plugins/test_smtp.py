"""The forwarder ``smtp`` against a real server: what becomes of each mail and each recipient."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gatewayd import AuthError, Forwarder, GatewaydError, TransientError
from gatewayd.message.mail import BytesSource
from gatewayd.registry.loading import load
from gatewayd.testing.contracts.forwarder import ForwarderContract, Goal
from gatewayd.testing.servers.smtp import CUT, SILENCE, SmtpServer
from gatewayd_smtp.forwarder import Smtp
from tests.patience import AT_ONCE, LONG
from tests.plugins.smtp_raw import speaking
from tests.plugins.smtp_site import DUTY, MAIL, courier, forwarder, parcel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatewayd import Receipt
    from gatewayd.testing.servers.smtp import Step


class SmtpGoal(Goal):
    """A real server, as the contract of forwarders sees it."""

    def __init__(self, server: SmtpServer) -> None:
        self.server = server

    def forwarder(self) -> Smtp:
        return forwarder(self.server)

    def taken(self) -> list[str]:
        return [re.findall(rb"\r\nMessage-ID: (\S+)", message.data)[0].decode() for message in self.server.messages]

    def fall_silent(self) -> None:
        self.server.answer = lambda _step, _argument: SILENCE

    def go_away(self) -> None:
        self.server.go_away()


class TestSmtp(ForwarderContract):
    @pytest.fixture
    def goal(self, server: SmtpServer) -> SmtpGoal:
        return SmtpGoal(server)


ANNA, EVA = "anna@example.com", "eva@example.com"
NEXT = parcel(number=2)


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    with SmtpServer() as made:
        yield made


def says(wanted: Step, answer: str, about: str = "") -> Callable[[Step, str], str | None]:
    return lambda step, argument: answer if step == wanted and about in argument else None


def states(receipt: Receipt) -> dict[str, tuple[str, str]]:
    return {one.address: (one.state, one.words) for one in receipt.recipients}


def test_it_is_offered_as_smtp_and_sends_mail() -> None:
    assert load(None).get(Forwarder, "smtp") is Smtp
    assert Smtp.sends_mail


def test_P7_several_mails_go_over_one_connection_each_to_all_its_recipients(server: SmtpServer) -> None:
    with courier(server) as opened:
        receipts = list(opened.deliver([parcel(MAIL, ANNA, EVA, mode="as is"), NEXT]))
    assert [one.id for one in receipts] == [1, 2]
    assert states(receipts[0]) == {ANNA: ("delivered", "250 2.0.0 taken as 1"), EVA: ("delivered", "250 2.0.0 taken as 1")}
    first, second = server.messages
    assert (first.sender, first.recipients, first.data) == ("out@tours.example", (ANNA, EVA), MAIL)
    assert first.connection == second.connection == 1
    assert server.commands[-1] == "QUIT"
    assert "RSET" not in server.commands


def test_P7_a_receipt_is_given_before_the_next_mail_is_begun(server: SmtpServer) -> None:
    with courier(server) as opened:
        receipts = opened.deliver([parcel(), NEXT])
        next(receipts)
        assert len(server.messages) == 1
        assert server.commands[-1] == "DATA"


def test_P7_each_recipient_has_a_word_of_its_own(server: SmtpServer) -> None:
    answers = {ANNA: "450 4.2.1 greylisted", EVA: "550 5.1.1 no such user"}
    server.answer = lambda step, argument: answers.get(argument[4:-1]) if step == "RCPT" else None
    with courier(server) as opened:
        (receipt,) = opened.deliver([parcel(MAIL, ANNA, DUTY, EVA)])
    assert states(receipt) == {
        ANNA: ("waiting", "450 4.2.1 greylisted"),
        DUTY: ("delivered", "250 2.0.0 taken as 1"),
        EVA: ("refused", "550 5.1.1 no such user"),
    }
    assert [one.address for one in receipt.recipients] == [ANNA, DUTY, EVA]
    assert server.messages[0].recipients == (DUTY,)


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "dot"])
@pytest.mark.parametrize(("answer", "state"), [("451 4.3.0 later", "waiting"), ("554 5.7.1 never", "refused")])
def test_P7_a_refusal_at_any_step_is_kept_with_the_servers_words_and_the_next_mail_goes(
    server: SmtpServer, step: Step, answer: str, state: str
) -> None:
    server.answer = says(step, answer)
    with courier(server) as opened:
        receipts = opened.deliver([parcel(), NEXT])
        assert states(next(receipts)) == {DUTY: (state, answer)}
        server.answer = says(step, answer, "nobody")
        if step == "dot":
            server.answer = lambda _step, _argument: None
        assert states(next(receipts))[DUTY][0] == "delivered"
    assert len(server.messages) == server.connections == 1
    # A transaction that is open still has to be closed before the next.
    assert ("RSET" in server.commands) == (step in {"RCPT", "DATA"})


STEPS: list[Step] = ["MAIL", "RCPT", "DATA", "dot", "taken"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (CUT, TransientError, "closed the connection|connection lost"),
        ("421 4.3.2 shutting down", TransientError, "said goodbye: '421 4.3.2 shutting down'"),
        ("530 5.7.0 who are you", AuthError, "wants a log-in: '530 5.7.0 who are you'"),
        ("354 what", TransientError, "expected an SMTP reply, got '354 what'"),
        ("HTTP/1.1 400", TransientError, "expected an SMTP reply, got 'HTTP/1.1 400"),
    ],
)
def test_P7_a_connection_that_ends_leaves_its_mail_undecided(
    server: SmtpServer, step: Step, answer: str, error: type[GatewaydError], text: str
) -> None:
    if step == "DATA" and answer.startswith("354"):
        answer, text = "250 what", "got '250 what'"
    server.answer = says(step, answer)
    with courier(server) as opened, pytest.raises(error, match=text) as caught:
        list(opened.deliver([parcel(), NEXT]))
    assert isinstance(caught.value, error)
    assert caught.value.advice
    # Nothing is said on a connection that is out of step.
    assert "QUIT" not in server.commands
    assert len(server.messages) == (step == "taken")


@pytest.mark.parametrize("step", ["RCPT", "DATA"])
@pytest.mark.parametrize("farewell", [CUT, "421 4.7.0 too many errors"])
def test_P7_a_refusal_stands_though_the_server_hangs_up_behind_it(server: SmtpServer, step: Step, farewell: str) -> None:
    refusal = "554 5.7.1 never"
    server.answer = lambda asked, _argument: {step: refusal, "RSET": farewell}.get(asked)
    with courier(server) as opened:
        receipts = opened.deliver([parcel(), NEXT])
        assert states(next(receipts)) == {DUTY: ("refused", refusal)}
        with pytest.raises(TransientError, match="closed the connection"):
            next(receipts)
    assert not server.messages


@pytest.mark.parametrize("word", [b"MAIL", b"RCPT", b"DATA"])
def test_P7_an_answer_before_the_question_is_none(word: bytes) -> None:
    replies = {b"DATA": b"354 go on\r\n", b".": b"554 never\r\n"}
    replies[word] = replies.get(word, b"250 ok\r\n") + b"250 taken\r\n"
    with (
        speaking(replies) as server,
        courier(server) as opened,
        pytest.raises(TransientError, match="expected an SMTP reply, got '250 taken"),
    ):
        list(opened.deliver([parcel()]))


def test_P7_a_connection_that_breaks_within_a_mail_leaves_it_undecided(server: SmtpServer) -> None:
    server.cut_within = 300_000
    with courier(server) as opened, pytest.raises(TransientError, match=r"connection lost|closed the connection"):
        list(opened.deliver([parcel(b"Subject: large\r\n\r\n" + b"x\r\n" * 3_000_000)]))
    assert not server.messages


def test_P7_what_is_sent_again_after_a_lost_answer_is_equal_to_the_byte(server: SmtpServer) -> None:
    server.answer = says("taken", CUT)
    with courier(server) as opened, pytest.raises(TransientError):
        list(opened.deliver([parcel()]))
    server.answer = says("taken", "250 ok")
    with courier(server) as opened:
        list(opened.deliver([parcel()]))
    first, second = server.messages
    assert first.data == second.data


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "dot"])
def test_a_step_that_waits_ends_at_once_when_it_is_aborted(server: SmtpServer, step: Step) -> None:
    server.answer = says(step, SILENCE)
    with courier(server) as opened, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: list(opened.deliver([parcel()])))
        while not (server.commands and server.commands[-1].startswith("DATA" if step == "dot" else step)):
            time.sleep(0.01)
        began = time.monotonic()
        opened.abort()
        with pytest.raises(TransientError):
            waiting.result(LONG)
        assert time.monotonic() - began < AT_ONCE
        opened.abort()
    opened.abort()


def test_P8_each_step_has_a_deadline(server: SmtpServer) -> None:
    server.answer = says("RCPT", SILENCE)
    with courier(server, timeout="1s") as opened, pytest.raises(TransientError, match="RCPT: no answer within 5 s"):
        list(opened.deliver([parcel()]))


def test_P7_the_answer_to_the_mails_end_may_take_longer(server: SmtpServer) -> None:
    server.answer = lambda step, _argument: time.sleep(1.3) if step == "taken" else None
    with courier(server, timeout="1s") as opened:
        (receipt,) = opened.deliver([parcel()])
    assert states(receipt)[DUTY][0] == "delivered"
    assert Smtp.Options.model_validate({"host": "x"}).patience == 600
    assert Smtp.Options.model_validate({"host": "x", "timeout": "1h"}).patience == 3600


def test_P8_the_answer_to_the_mails_end_has_a_deadline(server: SmtpServer) -> None:
    server.answer = says("dot", SILENCE)
    options = forwarder(server).options.model_copy(update={"timeout": 0.1})
    opening = Smtp(options, name="acme-out")
    with closing(opening.open()) as opened, pytest.raises(TransientError, match="the end of a mail: no answer within 1 s"):
        list(opened.deliver([parcel()]))


def test_taking_leave_waits_for_a_second_at_most(server: SmtpServer) -> None:
    server.answer = says("QUIT", SILENCE)
    opened = forwarder(server).open()
    began = time.monotonic()
    opened.close()
    assert time.monotonic() - began < AT_ONCE


def test_a_mail_that_is_too_large_is_refused_before_it_is_sent() -> None:
    with SmtpServer(size=2000) as server, courier(server) as opened:
        raw = b"Subject: x\r\n\r\n" + b"x\r\n" * 1000
        large, small = opened.deliver([parcel(raw, mode="as is"), NEXT])
        assert states(large)[DUTY] == ("refused", f"it has {len(raw)} bytes, and localhost:{server.port} takes at most 2000")
        assert states(small)[DUTY][0] == "delivered"
        assert server.messages[0].options == (f"SIZE={len(server.messages[0].data)}",)
        assert not [line for line in server.commands if line.startswith("MAIL") and "SIZE=3" in line]


@pytest.mark.parametrize("said", ["SIZE", "SIZE 0", "SIZE unlimited", f"SIZE {'9' * 5000}"])
def test_a_server_without_a_fixed_limit_has_none(said: str) -> None:
    replies = {b"EHLO": f"250-x\r\n250 {said}\r\n".encode(), b"DATA": b"354 go\r\n"}
    with speaking(replies) as server, courier(server) as opened:
        (receipt,) = opened.deliver([parcel()])
    assert states(receipt)[DUTY][0] == "delivered"


def test_a_server_that_offers_nothing_is_asked_for_nothing() -> None:
    with speaking({b"EHLO": b"250 x\r\n", b"DATA": b"354 go\r\n"}) as server, courier(server) as opened:
        list(opened.deliver([parcel(MAIL + b"\xfc\r\n")]))
    assert b"MAIL FROM:<out@tours.example>\r\n" in server.heard
    assert b"Content-Transfer-Encoding: base64\r\n" in server.heard


def test_P7_a_server_that_tells_of_bounces_is_given_the_id_that_they_are_known_by() -> None:
    mine = parcel()
    odd = replace(mine, message_id="<a+b=c@tours.example>")
    long = replace(mine, message_id=f"<{'x' * 100}@tours.example>")
    with speaking({b"EHLO": b"250-x\r\n250 DSN\r\n", b"DATA": b"354 go\r\n"}) as server, courier(server) as opened:
        list(opened.deliver([mine, odd, long]))
    assert re.findall(rb"MAIL FROM:<out@tours.example>(.*)\r\n", server.heard) == [
        b" ENVID=<gw.f.1.token@tours.example>",
        b" ENVID=<a+2Bb+3Dc@tours.example>",
        b"",
    ]


def test_8_bit_mail_is_announced(server: SmtpServer) -> None:
    with courier(server) as opened:
        list(opened.deliver([parcel(MAIL + b"\xfc\r\n"), parcel(MAIL, number=2)]))
    assert [("BODY=8BITMIME" in one.options) for one in server.messages] == [True, False]


def test_addresses_beyond_ascii_go_as_the_server_can_take_them(server: SmtpServer) -> None:
    people = ("anna@bücher.example", "jörg@example.com", "no address", "evil@x.example> SIZE=1", "a@x\r\nRSET")
    with courier(server) as opened:
        (receipt,) = opened.deliver([parcel(MAIL, *people)])
    assert [one.state for one in receipt.recipients] == ["delivered", "delivered", "refused", "refused", "refused"]
    assert server.messages[0].recipients == ("anna@xn--bcher-kva.example", "jörg@example.com")
    assert "SMTPUTF8" in server.messages[0].options


def test_a_server_without_smtputf8_gets_what_it_can_take() -> None:
    with SmtpServer(hidden=["SMTPUTF8"]) as server, courier(server) as opened:
        first, second, third = opened.deliver(
            [
                parcel(MAIL, "anna@bücher.example", "jörg@example.com"),
                parcel(MAIL, "jörg@example.com", number=2),
                parcel(sender="jörg@example.com", number=3),
            ]
        )
        assert [one.state for one in first.recipients] == ["delivered", "refused"]
        assert "does not offer SMTPUTF8" in first.recipients[1].words
        assert second.recipients[0].state == third.recipients[0].state == "refused"
        assert "does not offer SMTPUTF8" in third.recipients[0].words
        assert server.messages[0].options == (f"SIZE={len(server.messages[0].data)}",)
        assert len([line for line in server.commands if line.startswith("MAIL")]) == 1


def test_what_can_not_be_sent_as_it_is_is_refused_with_the_reason(server: SmtpServer) -> None:
    with courier(server) as opened:
        first, second = opened.deliver([parcel(b"Subject: nul\0\r\n", mode="inline"), NEXT])
    words = "the original can't be sent as it is: it has NULs. `mode: attached` carries any mail."
    assert states(first)[DUTY] == ("refused", words)
    assert states(second)[DUTY][0] == "delivered"


def test_an_original_that_can_not_be_read_breaks_off_without_being_delivered(server: SmtpServer) -> None:
    class Broken(BytesSource):
        reads = 0

        def read(self, offset: int, size: int) -> bytes:
            Broken.reads += 1
            if Broken.reads > 1:
                raise TransientError("the disk is gone")
            return super().read(offset, size)

    with courier(server) as opened, pytest.raises(TransientError, match="the disk is gone"):
        list(opened.deliver([parcel(Broken(MAIL))]))
    assert not server.messages


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (b"550-first\r\n550-\tsecond \x1b[31m\r\n550 third \xff\xc3\xbc\r\n", "550 first second ?[31m third \ufffdü"),
        (b"550 " + b"x" * 4000 + b"\r\n", "550 " + "x" * 296),
        (b"550\r\n", "550"),
        (b"550 only LF\n", "550 only LF"),
    ],
)
def test_the_servers_words_are_kept_as_one_short_line(words: bytes, kept: str) -> None:
    with speaking({b"MAIL": words}) as server, courier(server) as opened:
        (receipt,) = opened.deliver([parcel()])
    assert states(receipt)[DUTY] == ("refused", kept)


@pytest.mark.parametrize("words", [b"250", b"999 x\r\n", b"2\r\n", b"25x hello\r\n", b"\r\n", b"250+x\r\n"])
def test_P8_a_reply_that_is_none_or_never_ends_is_transient(words: bytes) -> None:
    with speaking({b"MAIL": words + b"CUT"}) as server, courier(server, timeout="2s") as opened, pytest.raises(TransientError):
        list(opened.deliver([parcel()]))


@pytest.mark.parametrize("words", [b"250-x\r\n" * 200, b"2" * 20_000])
def test_P8_a_server_that_goes_on_and_on_is_not_heard_to_its_end(words: bytes) -> None:
    goes_on = pytest.raises(TransientError, match=r"expected an SMTP reply, got '2")
    with speaking({b"MAIL": words}) as server, courier(server, timeout="5s") as opened, goes_on:
        list(opened.deliver([parcel()]))


def test_P8_a_reply_that_comes_byte_by_byte_has_the_same_deadline() -> None:
    began = time.monotonic()
    with speaking({b"MAIL": b"DRIP"}) as server, courier(server, timeout="1s") as opened:
        with pytest.raises(TransientError, match="MAIL: no whole answer within 5 s"):
            list(opened.deliver([parcel()]))
        assert 4 < time.monotonic() - began < LONG


@pytest.mark.parametrize(
    ("words", "refused"), [(b"552 too much\r\n", True), (b"421 bye\r\n", False), (b"451 later\r\n", False), (b"", False)]
)
def test_a_server_that_hangs_up_on_a_mail_is_heard_first(words: bytes, refused: bool) -> None:  # noqa: FBT001
    raw = b"Subject: large\r\n\r\n" + b"x\r\n" * 5_000_000
    with speaking({b"DATA": b"354 go\r\n" + words + b"CUT"}) as server, courier(server) as opened:
        receipts = opened.deliver([parcel(raw), NEXT])
        if refused:
            assert states(next(receipts))[DUTY] == ("refused", "552 too much")
        with pytest.raises(TransientError):
            next(receipts)
