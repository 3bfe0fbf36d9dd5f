"""How many mails go over one connection, and what becomes of the mail at which a server leaves."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from gatewayd import TransientError
from gatewayd.testing.servers.smtp import CUT, SmtpServer
from tests.plugins.smtp_raw import speaking
from tests.plugins.smtp_site import courier, parcel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewayd.testing.servers.smtp import Step


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    with SmtpServer() as made:
        yield made


def test_a_connection_carries_ten_messages_by_default_and_then_takes_its_leave(server: SmtpServer) -> None:
    with courier(server) as opened:
        receipts = list(opened.deliver([parcel(number=number) for number in range(25)]))
    assert {one.recipients[0].state for one in receipts} == {"delivered"}
    assert Counter(one.connection for one in server.messages) == {1: 10, 2: 10, 3: 5}
    assert server.commands.count("QUIT") == 3


def test_the_number_of_messages_for_each_connection_is_an_option(server: SmtpServer) -> None:
    with courier(server, messages_per_connection=2) as opened:
        list(opened.deliver([parcel(number=number) for number in range(3)]))
    assert [one.connection for one in server.messages] == [1, 1, 2]


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "dot"])
@pytest.mark.parametrize("answer", ["421 4.4.2 too many messages in this session", CUT])
def test_P7_a_mail_at_which_the_server_leaves_goes_at_once_over_a_new_connection(
    server: SmtpServer, step: Step, answer: str
) -> None:
    if (step, answer) == ("dot", CUT):
        # Nobody knows whether it was taken; the contract of forwarders has that.
        return
    server.answer = lambda now, _: answer if now == step and len(server.messages) == 2 and server.connections == 1 else None
    with courier(server) as opened:
        receipts = list(opened.deliver([parcel(number=number) for number in range(4)]))
    assert {one.recipients[0].state for one in receipts} == {"delivered"}
    assert Counter(one.connection for one in server.messages) == {1: 2, 2: 2}
    ids = [message.data.split(b"\r\nMessage-ID: ")[1].split(b"\r\n")[0] for message in server.messages]
    assert len(set(ids)) == 4


def test_P7_a_server_that_leaves_at_the_first_mail_is_not_asked_again_at_once(server: SmtpServer) -> None:
    server.answer = lambda now, _: "421 4.3.2 not today" if now == "MAIL" else None
    with courier(server) as opened, pytest.raises(TransientError, match=r"said goodbye: '421 4\.3\.2 not today'"):
        list(opened.deliver([parcel()]))
    assert server.connections == 1


def test_P7_a_mail_that_may_have_been_taken_is_not_sent_again_by_the_same_courier(server: SmtpServer) -> None:
    server.answer = lambda now, _: CUT if now == "taken" and len(server.messages) == 2 else None
    with courier(server) as opened, pytest.raises(TransientError):
        list(opened.deliver([parcel(number=number) for number in range(3)]))
    assert server.connections == 1


def test_no_connection_is_made_after_an_abort(server: SmtpServer) -> None:
    with courier(server, messages_per_connection=1) as opened:
        receipts = opened.deliver([parcel(), parcel(number=2)])
        next(receipts)
        opened.abort()
        with pytest.raises(TransientError):
            next(receipts)
    assert server.connections == 1


@pytest.mark.parametrize("word", [b"MAIL", b"RCPT", b"DATA"])
def test_the_answer_to_a_command_of_a_mail_may_take_five_times_as_long_as_others(word: bytes) -> None:
    """RFC 5321 section 4.5.3.2 gives MAIL and RCPT five minutes; the default ``timeout`` is one."""
    with speaking({b"DATA": b"354 go\r\n", word: b"WAIT"}) as server, courier(server, timeout="2s") as opened:
        (receipt,) = opened.deliver([parcel()])
    assert receipt.recipients[0].state == "delivered"
