"""Test class for transports: derive from it and bring a server with a mailbox."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from contextlib import closing
from typing import TYPE_CHECKING, ClassVar

import pytest

from gatewayd import Action, AuthError, Came, Failed, Fetched, Gone, Listed, Page, PermanentError, Secret, Spool
from gatewayd.message.mail import BytesSource, anchor, message_id, parse
from gatewayd.testing.contracts.comparing import ComparingContract
from gatewayd.testing.contracts.summaries import SummaryContract
from gatewayd.testing.contracts.watch import WatchContract

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gatewayd import Session, Transport

__all__ = ["Site", "TransportContract"]

#: Messages of a page, and of two pages and a bit: enough to see listings go on.
_PAGE, _MANY = 1_000, 2_100
#: How many keys before its cursor a listing may have once more.
_AGAIN = 50


class Site(ABC):
    """A mailbox on your server, new for each test, and what a test does to it from outside."""

    #: The folder that mail is delivered to.
    folder: str = "INBOX"
    #: Where the server listens, so that a test can stand between; nowhere where ``has_network`` is False.
    host: str
    port: int

    @abstractmethod
    def transport(self, **fields: object) -> Transport:
        """Return a transport for the mailbox; ``fields`` replace fields of its options, as YAML gives them."""

    @abstractmethod
    def deliver(self, messages: Sequence[bytes]) -> None:
        """Put messages into the folder, behind those that are there."""

    @abstractmethod
    def raw(self) -> Sequence[bytes]:
        """Return the bytes of all messages as the server gives them, oldest first, without changing anything."""

    @abstractmethod
    def state(self) -> object:
        """Return everything that reading must not change: numbers, flags, sizes. Equal states mean that nothing was changed."""

    @abstractmethod
    def remove(self, position: int) -> None:
        """Delete the message at that position, counted from 0."""


def message(number: int, text: bytes = b"Hello\r\n") -> bytes:
    """Return a message with the headers by which it is recognised."""
    head = f"Message-ID: <{number}@example.com>\r\nDate: Mon, 5 Jan 2026 10:00:{number % 60:02} +0100\r\n"
    return f"{head}From: Anna <anna@example.com>\r\nSubject: Booking\r\n {number}\r\n\r\n".encode() + text


MESSAGES = (
    message(1),
    message(2, b"a dot\r\n.\r\n..two\r\n.\r\n"),
    message(3, b"8 bit \xff\xfe\xe4, no line end"),
    message(4, b") UID 1 BODY[] {3}\r\nabc)\r\n"),
    message(5, b""),
    message(6, b"x" * 70_000 + b"\r\n"),
    message(7, b"line ends\nof all\r\nkinds\n"),
    b"Subject: only headers\r\n\r\n",
    b"\r\nonly a body\r\n",
)


class TransportContract(ComparingContract, SummaryContract, WatchContract):
    """Derive a test class from it, say how to reach a mailbox, and let pytest run it.

        class TestMyTransport(TransportContract):
            @pytest.fixture
            def site(self, server): return MySite(server)

    The class attributes say what the transport is able to do.
    """

    #: Whether listings go on behind a cursor; else each is the whole folder, as one page.
    has_cursor: ClassVar[bool] = True
    #: Whether listings say sizes, which may differ from those of what the server sends.
    tells_size: ClassVar[bool] = True
    #: The field with the secret that it logs in with.
    logs_in_by: ClassVar[str] = "password"
    #: Whether listings and ``look_up`` say Message-IDs, which those do whose keys span folders: see ``Transport``.
    tells_message_id: ClassVar[bool] = False
    #: The actions that its server can do; all of them are tested.
    actions: ClassVar[Sequence[Action]] = ()

    @pytest.fixture
    def site(self) -> Site:
        """Return the mailbox to test with."""
        raise NotImplementedError

    def keys(self, session: Session, site: Site, cursor: str | None = None) -> tuple[Listed, ...]:
        """Return all that a listing has."""
        return tuple(one for page in session.listing(site.folder, cursor) for one in page.keys)

    def fetched(self, session: Session, site: Site, listed: Sequence[Listed], spool: Spool) -> dict[str, Fetched]:
        """Return what a fetch yields, by key; each key must be answered once."""
        found = list(session.fetch(site.folder, listed, spool))
        assert sorted(one.key for one in found) == sorted(one.key for one in listed)
        spool.seal()
        return {one.key: one for one in found}

    # --- looking up -----------------------------------------------------------------------------------------------

    def test_looking_up_gives_what_is_there_now_as_the_listing_does(self, site: Site) -> None:
        site.deliver([message(number) for number in range(4)])
        with closing(site.transport().open()) as session:
            listed = self.keys(session, site)
            site.remove(1)
            before = site.state()
        with closing(site.transport().open()) as session:
            wanted = [one.key for one in listed[:3]]
            found = sorted(session.look_up(site.folder, wanted), key=lambda one: one.key)
        assert found == sorted((listed[0], listed[2]), key=lambda one: one.key)
        assert site.state() == before

    # --- listing --------------------------------------------------------------------------------------------------

    def test_a_listing_gives_every_key_once_in_pages(self, site: Site) -> None:
        site.deliver([message(number) for number in range(_MANY)])
        with closing(site.transport().open()) as session:
            pages = list(session.listing(site.folder, None))
        keys = [one.key for page in pages for one in page.keys]
        assert len(keys) == len(set(keys)) == _MANY
        assert all(page.backlog for page in pages)
        if self.has_cursor:
            assert max(len(page.keys) for page in pages) <= _PAGE
        else:
            assert [page.others_gone for page in pages] == [True]

    def test_a_listing_goes_on_behind_each_pages_cursor(self, site: Site) -> None:
        self._needs_cursor()
        site.deliver([message(number) for number in range(_MANY)])
        with closing(site.transport().open()) as session:
            pages = list(session.listing(site.folder, None))
            for number, page in enumerate(pages):
                rest = list(session.listing(site.folder, page.cursor))
                # The last keys before the cursor may come again, as they were.
                behind = _keys(pages[number + 1 :])
                assert behind <= _keys(rest)
                assert {one for each in rest for one in each.keys} <= {one for each in pages for one in each.keys}
                assert len(_keys(rest) - behind) <= _AGAIN
                # A crash between two pages must not turn old mail into new.
                assert all(one.backlog or not one.keys for one in rest)

    def test_a_second_listing_finds_nothing_and_then_only_what_is_new(self, site: Site) -> None:
        site.deliver(MESSAGES)
        with closing(site.transport().open()) as session:
            first = list(session.listing(site.folder, None))
        if self.has_cursor:
            with closing(site.transport().open()) as session:
                listed = {one for page in session.listing(site.folder, first[-1].cursor) for one in page.keys}
                assert listed <= {one for page in first for one in page.keys}
        site.deliver([message(10), message(11)])
        with closing(site.transport().open()) as session:
            second = list(session.listing(site.folder, first[-1].cursor))
        before, after = _keys(first), _keys(second)
        assert len(after - before) == 2  # noqa: PLR2004  delivered above
        assert not any(page.backlog and _keys([page]) - before for page in second)
        assert after & before == before or self.has_cursor

    def test_an_empty_folder_is_listed_once(self, site: Site) -> None:
        with closing(site.transport().open()) as session:
            pages = list(session.listing(site.folder, None))
            assert [page.keys for page in pages] == [()]
        site.deliver([message(1)])
        with closing(site.transport().open()) as session:
            (page,) = session.listing(site.folder, pages[0].cursor)
        # What came after the first look is new mail.
        assert (len(page.keys), page.backlog) == (1, False)

    def test_a_cursor_that_is_none_of_its_own_lists_from_the_beginning(self, site: Site) -> None:
        self._needs_cursor()
        site.deliver(MESSAGES)
        with closing(site.transport().open()) as session:
            assert len(self.keys(session, site, "\0no cursor at all")) == len(MESSAGES)

    def test_a_missing_folder_is_a_permanent_error_and_a_problem(self, site: Site) -> None:
        with closing(site.transport().open()) as session:
            with pytest.raises(PermanentError, match="No such folder, ever"):
                list(session.listing("No such folder, ever", None))
            (problem,) = session.problems([site.folder, "No such folder, ever"], None)
            assert "No such folder, ever" in problem
            assert session.problems([site.folder], None) == []

    # --- fetching -------------------------------------------------------------------------------------------------

    def test_what_is_fetched_is_what_the_server_has(self, site: Site, tmp_path: Path) -> None:
        site.deliver(MESSAGES)
        expected = list(site.raw())
        with closing(site.transport().open()) as session, Spool(tmp_path / "spool") as spool:
            listed = self.keys(session, site)
            came = self.fetched(session, site, listed, spool)
            assert [_read(came[one.key]) for one in listed] == expected
            if self.tells_size:
                assert all(one.size for one in listed)

    def test_a_message_that_is_gone_is_gone_and_the_others_come(self, site: Site, tmp_path: Path) -> None:
        site.deliver(MESSAGES)
        with closing(site.transport().open()) as session, Spool(tmp_path / "spool") as spool:
            listed = self.keys(session, site)
            session.close()
            site.remove(1)
            with closing(site.transport().open()) as later:
                came = self.fetched(later, site, listed, spool)
        assert [type(came[one.key]) for one in listed] == [Came, Gone, *[Came] * (len(MESSAGES) - 2)]

    def test_a_key_that_never_was_is_no_error(self, site: Site, tmp_path: Path) -> None:
        site.deliver(MESSAGES)
        unknown = Listed("no key of this folder", 10)
        with closing(site.transport().open()) as session, Spool(tmp_path / "spool") as spool:
            listed = (*self.keys(session, site)[:1], unknown)
            came = self.fetched(session, site, listed, spool)
            assert isinstance(came[listed[0].key], Came)
            assert isinstance(came[unknown.key], Gone | Failed)
            assert list(session.headers(site.folder, [unknown.key])) == []

    def test_headers_have_the_anchor_of_the_whole_message(self, site: Site) -> None:
        site.deliver(MESSAGES)
        expected = [anchor(raw) for raw in site.raw()]
        named = [parse(BytesSource(raw)).message_id for raw in site.raw()]
        with closing(site.transport().open()) as session:
            listed = self.keys(session, site)
            heads = dict(session.headers(site.folder, [one.key for one in listed]))
            now = {one.key: one for one in session.look_up(site.folder, [one.key for one in listed])}
        assert [anchor(heads.get(one.key, b"")) for one in listed] == expected
        # A server may name a message that came without a name.
        for one, name in zip(listed, named, strict=True) if self.tells_message_id else ():
            assert message_id(now[one.key].message_id or "") == name or not name

    def test_P3_reading_changes_nothing_on_the_server(self, site: Site, tmp_path: Path) -> None:  # noqa: N802  the promise's name
        site.deliver(MESSAGES)
        before = site.state()
        with closing(site.transport().open()) as session, Spool(tmp_path / "spool") as spool:
            listed = self.keys(session, site)
            self.fetched(session, site, listed, spool)
            list(session.headers(site.folder, [one.key for one in listed]))
            for action in (None, *self.actions):
                session.problems([site.folder], action)
        assert site.state() == before

    # --- settling -------------------------------------------------------------------------------------------------

    def test_settling_twice_does_it_once_and_to_nothing_else(self, site: Site) -> None:
        for action in self.actions:
            site.deliver(MESSAGES[:3])
            with closing(site.transport().open()) as session:
                there = self.keys(session, site)
                settled = [one.key for one in there[:2]]
                session.settle(site.folder, settled, action)
                session.settle(site.folder, settled, action)
            with closing(site.transport().open()) as session:
                left = {one.key for one in self.keys(session, site)}
            assert left == {one.key for one in there} - (set() if action.do == "seen" else set(settled)), action

    # --- sessions -------------------------------------------------------------------------------------------------

    def test_closing_twice_is_harmless(self, site: Site) -> None:
        session = site.transport().open()
        session.close()
        session.close()

    def test_P9_a_wrong_password_is_an_auth_error_that_does_not_tell_it(self, site: Site, tmp_path: Path) -> None:  # noqa: N802  the promise's name
        self._needs_network()
        secret = tmp_path / "secret"
        secret.write_text("not the password")
        with pytest.raises(AuthError) as caught:
            site.transport(**{self.logs_in_by: Secret("file", str(secret))}).open()
        assert "not the password" not in f"{caught.value} {caught.value.advice} {caught.value!r}"
        assert caught.value.advice

    def _needs_cursor(self) -> None:
        if not self.has_cursor:
            pytest.skip("it lists the whole folder each time")


def _keys(pages: Sequence[Page]) -> set[str]:
    return {one.key for page in pages for one in page.keys}


def _read(fetched: Fetched) -> bytes:
    assert isinstance(fetched, Came), fetched
    raw = fetched.source.read(0, fetched.source.size + 1)
    assert (fetched.source.size, fetched.digest) == (len(raw), hashlib.sha256(raw).digest())
    return raw
