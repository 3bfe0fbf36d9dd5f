"""What a person should know of a batch: what came that was not what was listed, and what is left alone for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.api.ledger import Filed, Retry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd.api.ledger import Outcome, Waiting
    from gatewayd.api.values import Action
    from gatewayd.importing.received import Batch

__all__ = ["notes_of", "problems_of"]

_LEFT = "nothing is done to them on the server"


def problems_of(batch: Batch, done: Sequence[Outcome]) -> Iterator[str]:
    """Yield what keeps messages from being had."""
    causes = {one.entry_id: one.cause for one in done if isinstance(one, Retry)}
    waits = [f"{one.listed.key}: {causes[one.entry_id]}" for one in _unlike(batch) if one.entry_id in causes]
    if waits:
        yield f"{len(waits)} messages wait, such as {waits[0]}"


def notes_of(batch: Batch, done: Sequence[Outcome], after: Action | None, reread_after: float) -> Iterator[str]:
    """Yield what is taken, but not trusted with what the account wants done on the server, ``after``, or not at once."""
    causes = {one.entry_id for one in done if isinstance(one, Retry)}
    taken = {one.listed.key for one in _unlike(batch) if one.entry_id not in causes}
    if taken:
        odd = f"{len(taken)} messages have another size than the server lists, as many on this server do"
        yield f"{odd}: they are filed, and fetched once more in {reread_after:g} s; {_LEFT} unless the same bytes come then"
    bare = [one.key for one in done if isinstance(one, Filed) and one.owed is None and one.key not in taken] if after else []
    if bare:
        yield (
            f"{len(bare)} messages, such as {bare[0]}, have neither Message-ID nor Date nor Received: "
            f"a server may send such in place of others, so {_LEFT}"
        )


def _unlike(batch: Batch) -> Iterator[Waiting]:
    return (one for one in batch.asked if one.listed.key in batch.unlike)
