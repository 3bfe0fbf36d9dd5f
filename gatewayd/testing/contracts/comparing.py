"""Tests of every transport: the whole folder is listed once more, to be compared with the ledger; part of ``TransportContract``."""

# ruff: noqa: PLR2004  tests are made of expected numbers

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from gatewayd.testing.contracts.custodian import make_raw

if TYPE_CHECKING:
    from gatewayd.testing.contracts.transport import Site

__all__ = ["ComparingContract"]


class ComparingContract:
    """A comparison has all that is there, and listings go on behind it."""

    def test_a_comparison_lists_all_that_is_there_and_loses_nothing_that_comes_later(self, site: Site) -> None:
        site.deliver([make_raw(number) for number in range(5)])
        with closing(site.transport().open()) as session:
            cursor = list(session.listing(site.folder, None))[-1].cursor
        site.deliver([make_raw(5)])
        site.remove(1)
        before = site.state()
        with closing(site.transport().open()) as session:
            pages = list(session.compare(site.folder, cursor))
            found = sorted(one.key for page in pages for one in page.keys)
            assert found == sorted(one.key for page in session.listing(site.folder, None) for one in page.keys)
            assert len(found) == len(set(found)) == 5
            assert max((page.exists for page in pages if page.exists is not None), default=5) == 5
        assert site.state() == before
        site.deliver([make_raw(6)])
        with closing(site.transport().open()) as session:
            later = {one.key for page in session.listing(site.folder, pages[-1].cursor) for one in page.keys}
            assert {one.key for page in session.listing(site.folder, None) for one in page.keys} <= later | set(found)
            assert later - set(found)
            # Without a cursor it is a first listing.
            assert len({one.key for page in session.compare(site.folder, None) for one in page.keys}) == 6
