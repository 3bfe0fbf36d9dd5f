"""Tests of every transport: sessions that are watched or aborted, and servers that are silent or speak garbage.

A part of ``TransportContract``.
"""

from __future__ import annotations

import select
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, ClassVar

import pytest

from gatewayd import Heard, TransientError
from gatewayd.testing.servers.proxy import FaultProxy, StreamFault, free_ports

if TYPE_CHECKING:
    from gatewayd import Session, Watch
    from gatewayd.testing.contracts.transport import Site

__all__ = ["WatchContract", "hear"]

#: A server may take its time to notice what came, such as Dovecot's half a second, and so may a busy machine.
_PATIENCE = 20.0


def hear(watch: Watch, seconds: float = _PATIENCE) -> Heard:
    """Listen until something is heard, for at most ``seconds``; then return an empty ``Heard``."""
    deadline = time.monotonic() + seconds
    heard = watch.listen()
    while heard == Heard() and select.select([watch], [], [], max(0.0, deadline - time.monotonic()))[0]:
        heard = watch.listen()
    return heard


class WatchContract:
    """Sessions that wait for the server's word, and sessions that are broken on purpose."""

    #: Whether its server announces mail.
    can_watch: ClassVar[bool] = False
    #: Whether there is a server to log in to. A transport that reads from a disk has none: then a site needs no host and port.
    has_network: ClassVar[bool] = True
    has_cursor: ClassVar[bool]

    # --- watching -------------------------------------------------------------------------------------------------

    def test_only_a_server_that_can_announce_mail_is_watched(self, site: Site) -> None:
        with closing(site.transport().open()) as session:
            _list(session, site)
            assert (session.watch(site.folder) is not None) == self.can_watch

    def test_a_watch_hears_of_new_mail_and_leaves_a_session_that_lists_it(self, site: Site) -> None:
        self._needs_watch()
        site.deliver([_message(1)])
        with closing(site.transport().open()) as session:
            cursor = _list(session, site)
            seen = {one.key for page in session.listing(site.folder, None) for one in page.keys}
            for _ in range(2):
                number = len(seen) + 1
                watch = _watching(session, site)
                assert watch.listen() == Heard()
                site.deliver([_message(number)])
                assert hear(watch) == Heard(news=True)
                watch.end()
                pages = list(session.listing(site.folder, cursor))
                new = {one.key for page in pages for one in page.keys} - seen
                assert len(new) == 1
                seen |= new
                cursor = pages[-1].cursor

    def test_mail_that_comes_before_the_watch_begins_is_news_at_once(self, site: Site) -> None:
        self._needs_watch()
        with closing(site.transport().open()) as session:
            _list(session, site)
            site.deliver([_message(1)])
            watch = _watching(session, site)
            assert watch.listen() == Heard(news=True)
            assert watch.listen() == Heard()
            watch.end()
            _list(session, site)
            assert _watching(session, site).listen() == Heard()

    def test_mail_that_comes_while_a_watch_ends_is_told_or_listed(self, site: Site) -> None:
        self._needs_watch()
        with closing(site.transport().open()) as session:
            cursor = _list(session, site)
            watch = _watching(session, site)
            site.deliver([_message(1)])
            watch.end()
            assert [one.key for page in session.listing(site.folder, cursor) for one in page.keys]

    def test_a_renewed_watch_is_proven_and_misses_nothing(self, site: Site) -> None:
        self._needs_watch()
        with closing(site.transport().open()) as session:
            _list(session, site)
            watch = _watching(session, site)
            assert watch.listen() == Heard()
            for _ in range(3):
                watch.renew()
                assert hear(watch) == Heard(proven=True)
            site.deliver([_message(1)])
            watch.renew()
            first = hear(watch)
            assert first.proven or first.news
            assert first == Heard(news=True, proven=True) or hear(watch) == Heard(news=not first.news, proven=not first.proven)

    def test_a_watch_may_end_before_its_renewal_was_answered(self, site: Site) -> None:
        self._needs_watch()
        with closing(site.transport().open()) as session:
            _list(session, site)
            watch = _watching(session, site)
            watch.renew()
            assert not watch.end()
            _list(session, site)

    def test_P3_watching_changes_nothing_on_the_server(self, site: Site) -> None:  # noqa: N802  the promise's name
        self._needs_watch()
        site.deliver([_message(1)])
        before = site.state()
        with closing(site.transport().open()) as session:
            _list(session, site)
            watch = _watching(session, site)
            watch.renew()
            hear(watch)
            watch.end()
        assert site.state() == before

    def test_a_session_that_is_watched_is_closed_at_once(self, site: Site) -> None:
        self._needs_watch()
        session = site.transport().open()
        _watching(session, site)
        start = time.monotonic()
        session.close()
        assert time.monotonic() - start < _PATIENCE

    def test_a_watch_whose_session_was_closed_by_another_thread_is_a_transient_error(self, site: Site) -> None:
        self._needs_watch()
        session = site.transport().open()
        watch = _watching(session, site)
        session.close()
        with pytest.raises(TransientError):
            watch.listen()
        with pytest.raises(TransientError):
            watch.renew()

    # --- aborting -------------------------------------------------------------------------------------------------

    def test_abort_is_harmless_at_any_time_and_later_steps_are_transient_errors(self, site: Site) -> None:
        session = site.transport().open()
        session.abort()
        session.abort()
        for _ in range(2):
            with pytest.raises(TransientError):
                _list(session, site)
        session.close()
        session.abort()

    def test_abort_ends_a_step_that_waits_for_a_silent_server_at_once(self, site: Site) -> None:
        self._needs_network()
        with (
            FaultProxy(site.host, site.port) as proxy,
            ThreadPoolExecutor(1) as pool,
            closing(site.transport(port=proxy.port, timeout="60s").open()) as session,
        ):
            _list(session, site)
            proxy.fault = StreamFault(do="silence")
            waiting = pool.submit(_list, session, site)
            time.sleep(0.2)
            assert not waiting.done()
            session.abort()
            with pytest.raises(TransientError):
                waiting.result(_PATIENCE)

    def test_abort_ends_a_watch(self, site: Site) -> None:
        self._needs_watch()
        with closing(site.transport().open()) as session:
            _list(session, site)
            watch = _watching(session, site)
            session.abort()
            with pytest.raises(TransientError):
                hear(watch)
            with pytest.raises(TransientError):
                watch.end()

    def test_a_refused_connection_is_transient(self, site: Site) -> None:
        self._needs_network()
        with pytest.raises(TransientError, match="refused"):
            site.transport(port=free_ports(1)[0]).open()

    def test_P8_a_silent_server_is_given_up_after_the_timeout(self, site: Site) -> None:  # noqa: N802  the promise's name
        self._needs_network()
        with FaultProxy(site.host, site.port, fault=StreamFault(do="silence")) as proxy:
            start = time.monotonic()
            with pytest.raises(TransientError, match="1 s"):
                site.transport(port=proxy.port, timeout="1s").open()
        assert time.monotonic() - start < 30  # noqa: PLR2004  one second, the time to close, and a busy machine

    def test_a_server_that_speaks_garbage_is_transient(self, site: Site) -> None:
        self._needs_network()
        with FaultProxy(site.host, site.port, fault=StreamFault(do="garbage")) as proxy, pytest.raises(TransientError):
            site.transport(port=proxy.port, timeout="5s").open()

    def _needs_network(self) -> None:
        if not self.has_network:
            pytest.skip("it has no server to log in to")

    def _needs_watch(self) -> None:
        if not self.can_watch:
            pytest.skip("its server announces nothing")


def _list(session: Session, site: Site) -> str:
    """List the whole folder, and return the last page's cursor."""
    return list(session.listing(site.folder, None))[-1].cursor


def _watching(session: Session, site: Site) -> Watch:
    watch = session.watch(site.folder)
    assert watch is not None
    return watch


def _message(number: int) -> bytes:
    return f"Message-ID: <watched-{number}@example.com>\r\nSubject: Booking {number}\r\n\r\nHello\r\n".encode()
