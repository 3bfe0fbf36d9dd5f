"""The transport in memory keeps the contract of real ones: what is tested with it is tested with a transport."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from gatewayd import Action, TransientError
from gatewayd.testing.contract_transport import Site, TransportContract, message
from gatewayd.testing.fake_transport import Asked, FakeTransport

if TYPE_CHECKING:
    from collections.abc import Sequence


class FakeSite(Site):
    def __init__(self, *, has_cursor: bool) -> None:
        self.fake = FakeTransport(("INBOX", "Imported"), has_cursor=has_cursor)

    def transport(self, **_: object) -> FakeTransport:
        return self.fake

    def deliver(self, messages: Sequence[bytes]) -> None:
        for raw in messages:
            self.fake.deliver(raw)

    def raw(self) -> Sequence[bytes]:
        return self.fake.raw()

    def state(self) -> object:
        return self.fake.keys(), self.fake.raw(), self.fake.seen(), self.fake.keys("Imported")

    def remove(self, position: int) -> None:
        self.fake.vanish(self.fake.keys()[position])


class TestFakeTransport(TransportContract):
    actions = (Action(do="seen"), Action(do="move", folder="Imported"), Action(do="delete"))

    # It has no network and no password.
    test_P9_a_wrong_password_is_an_auth_error_that_does_not_tell_it = None  # type: ignore[assignment]  # noqa: N815  the promise's name
    test_a_refused_connection_is_transient = None  # type: ignore[assignment]
    test_P8_a_silent_server_is_given_up_after_the_timeout = None  # type: ignore[assignment]  # noqa: N815  the promise's name
    test_a_server_that_speaks_garbage_is_transient = None  # type: ignore[assignment]

    @pytest.fixture
    def site(self) -> Site:
        return FakeSite(has_cursor=True)


class TestFakeTransportWithoutCursor(TestFakeTransport):
    has_cursor = False

    @pytest.fixture
    def site(self) -> Site:
        return FakeSite(has_cursor=False)


def test_it_remembers_what_it_was_asked_and_does_once_what_it_was_told() -> None:
    transport = FakeTransport()
    key = transport.deliver(message(1))
    transport.on("page", TransientError("lost"), after=1)
    with closing(transport.open()) as session:
        assert len(list(session.listing("INBOX", None))) == 1
        with pytest.raises(TransientError, match="lost"):
            list(session.listing("INBOX", None))
        assert len(list(session.listing("INBOX", None))) == 1
        assert transport.sessions == 1
    assert transport.sessions == 0
    assert transport.steps("page") == [Asked("page", "INBOX", (key,))] * 3
    assert transport.listed == {("INBOX", key)}


def test_renumbered_keys_are_others_and_say_so() -> None:
    transport = FakeTransport(page_size=2)
    old = [transport.deliver(message(number)) for number in range(3)]
    session = transport.open()
    cursor = list(session.listing("INBOX", None))[-1].cursor
    transport.renumber()
    first, second = session.listing("INBOX", cursor)
    assert (first.others_gone, second.others_gone, first.backlog, second.backlog) == (True, False, True, True)
    assert not set(old) & {one.key for page in (first, second) for one in page.keys}
