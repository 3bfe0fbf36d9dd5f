"""Recognise mail that its server shows in several folders, before it is fetched once more from another of them.

Gmail shows a message in the folder of each label, and in All Mail, under a key in each of them, and tells which are the same
(``Listed.spanning_id``). That alone proves nothing: size and arrival must be those that were listed for the mail, the size that of
the bytes that are stored, and the Message-ID the mail's. What differs in one of them is fetched, and its digest decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.api.copies import Recognised
from gatewayd.api.evidence import difference
from gatewayd.importing.anchoring import headers_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gatewayd.api.copies import Copy
    from gatewayd.api.ledger import Waiting
    from gatewayd.api.values import Listed
    from gatewayd.importing.context import VisitContext

__all__ = ["CopyRecogniser"]


class CopyRecogniser:
    """Recognises waiting messages of one account, in one visit."""

    def __init__(self, context: VisitContext) -> None:
        self._context = context
        self._store = context.store
        self._owed = context.imports.after

    def left(self, folder: str, waiting: Sequence[Waiting]) -> Sequence[Waiting]:
        """Commit which of the folder's waiting keys are mails that the account has, and return the others.

        Nothing of a mail that no operator admitted is kept, and what a person admitted is judged anew: these are fetched.
        """
        called = {one.listed.spanning_id for one in waiting if one.listed.spanning_id and one.readmitted is None}
        if not called or not (known := self._store.copies(self._context.lease.account, called)):
            return waiting
        copies: dict[str | None, list[Copy]] = {}
        for copy in known:
            copies.setdefault(copy.listed.spanning_id, []).append(copy)
        fitting = {
            one.listed.key: fits
            for one in waiting
            if one.readmitted is None and (fits := list(_fitting(one.listed, copies.get(one.listed.spanning_id, ()))))
        }
        same = self._same(folder, waiting, fitting)
        if not same:
            return waiting
        self._context.reporter.filed(self._store.file(self._context.lease, same).tally)
        done = {one.entry_id for one in same}
        return [one for one in waiting if one.entry_id not in done]

    def _same(self, folder: str, waiting: Sequence[Waiting], fitting: dict[str, list[Copy]]) -> list[Recognised]:
        """Return those of the waiting messages whose Message-ID is that of one mail among the copies that fit them."""
        heads = dict(self._context.sessions.ask(headers_of, folder, list(fitting)))
        found: list[Recognised] = []
        for one in waiting:
            head = heads.get(one.listed.key)
            named = [copy for copy in fitting.get(one.listed.key, ()) if head and copy.message_id == head.message_id]
            if head is not None and len({copy.mail_id for copy in named}) == 1:
                of, where = named[0].mail_id, named[0].folder
                cause = f"mail {of}, which its server also shows in {where}"
                found.append(Recognised(entry_id=one.entry_id, mail_id=of, cause=cause, anchor=head.mark, owed=self._owed))
        return found


def _fitting(listed: Listed, copies: Iterable[Copy]) -> Iterable[Copy]:
    """Yield the copies that a message may be by what the server says of both."""
    for copy in copies:
        sized = listed.size is not None and listed.size == copy.listed.size == copy.size
        arrived = listed.arrival is not None and copy.listed.arrival is not None and not difference(copy.listed, listed)
        if sized and arrived and copy.message_id:
            yield copy
