"""An audit has those messages once more that are filed with bytes of another length than the server lists.

Some servers estimate sizes. Where such a server sends the same bytes again, in another session, what was filed is the message.
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

#: How many messages, and about how many bytes, are had at a time.
_MESSAGES, _BYTES = 200, 16 << 20


def reread(app: App, account: AccountConfig, found: Sequence[Audit]) -> Sequence[Audit]:
    """Return the audits with what the server sends again, byte for byte, told apart as ``Audit.inexact``.

    Not what stands in for a message as far as can be seen: what has no Message-ID or no Date of its own, and what the server
    sends under several keys of different sizes.
    """
    if not any(one.unlike for one in found):
        return found
    with app.session(account) as session:
        return [_reread(app, session, one) if one.unlike else one for one in found]


def _reread(app: App, session: Session, audit: Audit) -> Audit:
    sizes: defaultdict[bytes, set[int | None]] = defaultdict(set)
    same: dict[str, bytes] = {}
    # As a whole: a session does one thing at a time.
    for batch in _batches(list(session.look_up(audit.folder, audit.unlike))):
        listed = {one.key: one.size for one in batch}
        for key, digest, is_own in _sent(app, session, audit.folder, batch):
            sizes[digest].add(listed[key])
            if is_own and digest == audit.digests[key]:
                same[key] = digest
    inexact = tuple(key for key in audit.unlike if key in same and len(sizes[same[key]]) == 1)
    return replace(audit, unlike=tuple(key for key in audit.unlike if key not in inexact), inexact=inexact)


def _sent(app: App, session: Session, folder: str, batch: Sequence[Listed]) -> Sequence[tuple[str, bytes, bool]]:
    """Return what the server sends now: each key, its digest, and whether it has a Message-ID and a Date of its own."""
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
