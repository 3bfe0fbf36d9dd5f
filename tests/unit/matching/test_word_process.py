"""Words are cut by a process of its own: a message that it dies of, or hangs at, costs its own words only."""

from __future__ import annotations

import os
import time
from contextlib import closing
from dataclasses import dataclass

import pytest

from gatewayd import TransientError, Unindexed
from gatewayd.matching.word_process import WordProcess
from gatewayd.message.mail import BytesSource
from gatewayd.testing.contracts.custodian import make_raw

SOUND = Unindexed(1, BytesSource(make_raw(text="Voucher")))


@dataclass(frozen=True)
class Odd:
    """A message that can't be read as it should."""

    how: str
    size: int = 10

    def read(self, _offset: int, _size: int) -> bytes:
        if self.how == "dies":
            os._exit(1)
        if self.how == "hangs":
            time.sleep(600)
        raise TransientError("the store is away")


def go_on() -> None:
    """Go on."""


@pytest.mark.parametrize(("how", "deadline"), [("dies", 60.0), ("hangs", 2.0)])
def test_a_message_that_the_process_dies_of_or_hangs_at_has_no_words_and_others_have_theirs(how: str, deadline: float) -> None:
    with closing(WordProcess(deadline=deadline)) as process:
        found = process.words([SOUND, Unindexed(2, Odd(how)), Unindexed(3, BytesSource(b"Subject: Rome"))], go_on)
    assert found.keys() == {1, 2, 3}
    assert (["voucher"] in found[1], found[2], found[3]) == (True, [], [["rome"]])


def test_mails_that_cant_be_read_now_are_said_so() -> None:
    with closing(WordProcess()) as process:
        with pytest.raises(TransientError, match="the store is away"):
            process.words([SOUND, Unindexed(2, Odd("raises"))], go_on)
        assert ["voucher"] in process.words([SOUND], go_on)[1]


def test_whoever_waits_can_break_off() -> None:
    class Ended(Exception):
        pass

    def ends() -> None:
        raise Ended

    with closing(WordProcess()) as process, pytest.raises(Ended):
        process.words([Unindexed(1, Odd("hangs"))], ends)
