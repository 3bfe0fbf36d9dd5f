"""Fetch messages again for an audit whose stored size differs from the size that the server lists.

Some servers estimate sizes. If the server sends the same bytes again, in another session, the stored mail is the message.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from gatewayd.api.spool import MESSAGE_BYTES
from gatewayd.api.values import Came
from gatewayd.message.mail import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd.api.queries import Audit
    from gatewayd.api.session import Session
    from gatewayd.api.values import Listed
    from gatewayd.cli.app import App
    from gatewayd.config import AccountConfig

__all__ = ["reread"]

#: How many messages, and about how many bytes, are fetched at a time.
_MESSAGES, _BYTES = 200, 16 << 20


def reread(app: App, account: AccountConfig, found: Sequence[Audit]) -> Sequence[Audit]:
    """Return the audits with each key moved from ``unlike`` to ``inexact`` for which the server sends the same bytes again.

    Messages that look like placeholders stay in ``unlike``: those without a Message-ID or Date of their own, and those that the
    server sends under several keys of different sizes.
    """
    if not any(one.unlike for one in found):
        return found
    with app.session(account) as session:
        return [_reread(app, session, one) if one.unlike else one for one in found]


def _reread(app: App, session: Session, audit: Audit) -> Audit:
    sizes: defaultdict[bytes, set[int | None]] = defaultdict(set)
    same: dict[str, bytes] = {}
    # Listed as a whole first: a session does one thing at a time.
    for batch in _batches(list(session.look_up(audit.folder, audit.unlike))):
        listed = {one.key: one.size for one in batch}
        for key, digest, is_own in _sent(app, session, audit.folder, batch):
            sizes[digest].add(listed[key])
            if is_own and digest == audit.digests[key]:
                same[key] = digest
    inexact = tuple(key for key in audit.unlike if key in same and len(sizes[same[key]]) == 1)
    return replace(audit, unlike=tuple(key for key in audit.unlike if key not in inexact), inexact=inexact)


def _sent(app: App, session: Session, folder: str, batch: Sequence[Listed]) -> Sequence[tuple[str, bytes, bool]]:
    """Fetch messages; return key, digest, and whether the message has a Message-ID and a Date of its own, for each that came."""
    with app.instance.spool() as spool:
        spool.expect(batch, MESSAGE_BYTES)
        came = [one for one in session.fetch(folder, batch, spool) if isinstance(one, Came)]
        spool.seal()
        mails = [parse(one.source) for one in came]
        return [(one.key, one.digest, bool(mail.message_id and mail.sent_at)) for one, mail in zip(came, mails, strict=True)]


def _batches(listed: Sequence[Listed]) -> Iterator[Sequence[Listed]]:
    batch: list[Listed] = []
    size = 0
    for one in listed:
        batch.append(one)
        size += one.size or 0
        if len(batch) >= _MESSAGES or size >= _BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
