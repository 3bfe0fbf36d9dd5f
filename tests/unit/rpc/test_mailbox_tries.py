"""Log-ins to mailboxes are tried few at once, and by each person only so often."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime

import pytest

from gatewayd import TransientError, Viewer, WebSession
from gatewayd.access.people import Person
from gatewayd.rpc.mailbox_tries import MailboxTries


def person(user: str, operator: str = "acme") -> Person:
    at = datetime.now(UTC)
    session = WebSession(
        number=1, user_id=1, operator=operator, user=user, created_at=at, last_at=at, expires_at=at, address="", agent=""
    )
    viewer = Viewer(operator=operator, users=(user,))
    return Person(operator=operator, user=user, role="agent", viewer=viewer, web_session=session)


def refused(tries: MailboxTries, who: Person) -> float:
    """Return how long someone is told to wait."""
    with pytest.raises(TransientError) as caught, tries.one(who):
        raise AssertionError
    assert caught.value.retry_after
    return caught.value.retry_after


def test_a_person_tries_so_often_and_others_are_not_held_up_by_it() -> None:
    tries = MailboxTries()
    for _ in range(10):
        with tries.one(person("irina")):
            pass
    assert refused(tries, person("irina")) > 10
    for other in (person("tom"), person("irina", "globetrot")):
        with tries.one(other):
            pass


def test_P8_few_are_tried_at_once_and_one_of_each_person() -> None:
    tries = MailboxTries()
    with ExitStack() as stack:
        stack.enter_context(tries.one(person("irina")))
        assert refused(tries, person("irina")) == 10
        for user in ("tom", "ann"):
            stack.enter_context(tries.one(person(user)))
        assert refused(tries, person("max")) == 10
    with tries.one(person("max")):
        pass


def test_a_try_that_fails_leaves_room_for_the_next() -> None:
    tries = MailboxTries()
    for _ in range(4):
        with pytest.raises(ValueError, match="broken"), tries.one(person("irina")):
            raise ValueError("broken")
