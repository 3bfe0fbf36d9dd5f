"""The part of the store ``sql`` that is about itself and who has what in it. As light as ``store``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from gatewayd import Lease
    from gatewayd_sql.options import SqlOptions
    from gatewayd_sql.verbs import Verbs

__all__ = ["SqlAccounts"]


class SqlAccounts(Store):
    """See ``AccountVerbs``."""

    options: SqlOptions
    _verbs: Verbs

    @property
    def url(self) -> str:
        """Where the database is."""
        return self.options.url or f"sqlite:///{self.place.state / 'gatewayd.db'}"

    def is_current(self) -> bool:
        """Whether the database is there and has this version's tables."""
        from gatewayd_sql.database import is_current  # noqa: PLC0415  SQLAlchemy takes half a second to import

        return is_current(self.url)

    def is_new(self) -> bool:
        """Whether there is no database, or an empty one."""
        from gatewayd_sql.database import is_new  # noqa: PLC0415  SQLAlchemy takes half a second to import

        return is_new(self.url)

    def prove_writable(self) -> None:
        """Commit something small."""
        self._verbs.db.prove_writable()

    def former(self, known: Collection[tuple[str, str | None]]) -> Mapping[tuple[str, str | None], int]:
        """Return whose filings there are besides those of ``known``."""
        return self._verbs.accounts.former(known)

    def claim(self, lease: Lease, mailbox: str, *, second: bool, enter: bool) -> Sequence[str]:
        """Return who has or had a mailbox, this account among them if it may."""
        return self._verbs.accounts.claim(lease, mailbox, second=second, enter=enter)

    def mailboxes(self) -> Mapping[str, Sequence[tuple[str, bool]]]:
        """Return who has or had each mailbox."""
        return self._verbs.accounts.mailboxes()

    def rename_account(self, old: str, new: str, *, dead: Callable[[str], bool]) -> int:
        """Let all that is kept of one account be another's."""
        return self._verbs.accounts.rename(old, new, dead=dead)
