"""The forwarder ``smtp`` and relays whose answers contradict each other."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from gatewayd import Address, Notice, TransientError
from gatewayd.testing.servers.smtp import SmtpServer
from tests.patience import LONG
from tests.plugins.smtp_raw import Raw, speaking
from tests.plugins.smtp_site import DUTY, NOON, courier, parcel

if TYPE_CHECKING:
    import socket

OURS = Address(name="", email="out@tours.example")


@pytest.mark.parametrize("answer", ["502 5.5.1 not implemented", "450 4.7.0 slow down"])
def test_P4_a_transaction_that_the_server_does_not_end_costs_the_next_mail_nothing(answer: str) -> None:
    """Its MAIL would be refused as the second one of the same transaction."""
    first = parcel(b"Subject: 1\r\n\r\n1\r\n", "nobody@example.com")
    with SmtpServer() as server:
        begun = []

        def says(step: str, argument: str) -> str | None:
            if step == "MAIL":
                begun.append(server.connections)
                return "503 5.5.1 nested MAIL" if begun.count(server.connections) > 1 else None
            if step == "RCPT" and "nobody" in argument:
                return "550 5.1.1 no such user"
            return answer if step == "RSET" else None

        server.answer = says
        with courier(server) as opened:
            receipts = opened.deliver([first, parcel(number=2)])
            assert next(receipts).recipients[0].words == "550 5.1.1 no such user"
            assert next(receipts).recipients[0].state == "delivered"
    assert begun == [1, 2]


@pytest.mark.parametrize("word", [b"MAIL", b"RCPT", b"DATA", b"."])
@pytest.mark.parametrize("said", [b"550-5.7.1 no\r\n250 yes\r\n", b"250-yes\r\n550 5.7.1 no\r\n"])
def test_P7_a_reply_with_two_codes_is_none(word: bytes, said: bytes) -> None:
    """RFC 5321 section 4.2.1: the code must be the same on each line."""
    with (
        speaking({b"DATA": b"354 go\r\n", word: said}) as server,
        courier(server) as opened,
        pytest.raises(TransientError, match="expected an SMTP reply"),
    ):
        list(opened.deliver([parcel()]))


def test_P4_an_administrator_whose_address_the_server_can_not_take_keeps_a_notice_from_nobody_else() -> None:
    notice = Notice(message_id="<n@x.example>", at=NOON, host="mx1", begun=(), over=(), sender=OURS, to=("jörg@example.com", DUTY))
    with speaking({b"DATA": b"354 go\r\n"}) as server, courier(server) as opened:
        (missed,) = opened.notify(notice)
    assert "jörg@example.com" in missed
    assert "SMTPUTF8" in missed
    assert f"RCPT TO:<{DUTY}>".encode() in server.heard


class Hasty(Raw):
    """Answers within a mail, and once more at its end."""

    def __init__(self, within: bytes, end: bytes) -> None:
        super().__init__({b".": end}, "127.0.0.1")
        self._within = within
        self.thread.start()

    def _talk(self, connection: socket.socket) -> None:
        lines = connection.makefile("rb")
        connection.sendall(self.replies[b""])
        while line := lines.readline():
            if line != b"DATA\r\n":
                connection.sendall(b"250 ok\r\n")
                continue
            connection.sendall(b"354 go\r\n")
            lines.readline()
            connection.sendall(self._within)
            while lines.readline() not in (b".\r\n", b""):
                pass
            connection.sendall(self.replies[b"."])


@pytest.mark.parametrize("end", [b"554 5.7.1 never\r\n", b"451 4.3.0 later\r\n", b""])
def test_P7_a_yes_before_the_mails_end_is_no_word_on_it(end: bytes) -> None:
    raw = b"Subject: large\r\n\r\n" + b"x\r\n" * 5_000_000
    server = Hasty(b"250 2.0.0 yes\r\n", end)
    early = pytest.raises(TransientError, match=r"expected an SMTP reply, got '250 2\.0\.0 yes")
    with courier(server) as opened, early:
        list(opened.deliver([parcel(raw)]))
    server.thread.join(LONG)


def test_a_no_before_the_mails_end_stands() -> None:
    raw = b"Subject: large\r\n\r\n" + b"x\r\n" * 5_000_000
    server = Hasty(b"552 5.3.4 too much\r\n", b"")
    with courier(server) as opened:
        (receipt,) = opened.deliver([parcel(raw)])
    assert (receipt.recipients[0].state, receipt.recipients[0].words) == ("refused", "552 5.3.4 too much")
    server.thread.join(LONG)


def test_P7_more_recipients_than_a_server_takes_at_once_go_in_the_next_mail() -> None:
    """RFC 5321 section 4.5.3.1.10: old servers say 552 where they mean 452. Alone it is a word on the recipient."""
    people = tuple(f"p{number}@example.com" for number in range(4))
    with SmtpServer() as server:
        taken: list[str] = []

        def says(step: str, argument: str) -> str | None:
            if step == "MAIL":
                taken.clear()
            if step != "RCPT":
                return None
            taken.append(argument)
            return "552 too many recipients" if len(taken) > 2 or "p3" in argument else None

        server.answer = says
        with courier(server) as opened:
            (first,) = opened.deliver([parcel(b"Subject: 1\r\n\r\n1\r\n", *people)])
            assert [one.state for one in first.recipients] == ["delivered", "delivered", "waiting", "waiting"]
            (second,) = opened.deliver([parcel(b"Subject: 1\r\n\r\n1\r\n", *people[2:])])
            assert [one.state for one in second.recipients] == ["delivered", "waiting"]
            (third,) = opened.deliver([parcel(b"Subject: 1\r\n\r\n1\r\n", people[3])])
    assert [(one.state, one.words) for one in third.recipients] == [("refused", "552 too many recipients")]


class Twice(Hasty):
    """Takes two connections; the first mail of each is answered twice."""

    def _serve(self) -> None:
        with self._listener:
            for _ in range(2):
                connection, _ = self._listener.accept()
                # Whoever hangs up while an answer is on its way to him resets the connection: the next one is served all the same.
                with connection, suppress(OSError):
                    self._talk(connection)
                self._within = b""


def test_P4_a_mail_that_was_answered_twice_costs_the_next_one_nothing() -> None:
    """The second answer would be taken for that to MAIL, and each one behind it for another."""
    raw = b"Subject: large\r\n\r\n" + b"x\r\n" * 5_000_000
    server = Twice(b"552 5.3.4 too much\r\n", b"250 2.0.0 yes\r\n")
    with courier(server) as opened:
        first, second = opened.deliver([parcel(raw), parcel(number=2)])
    assert first.recipients[0].state == "refused"
    assert second.recipients[0].state == "delivered"
    server.thread.join(LONG)
