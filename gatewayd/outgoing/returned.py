"""Find which of our deliveries the mails of a batch bring back, and whose they are, with one question to the store."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gatewayd.outgoing.provenance import Provenance, provenance

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from gatewayd.api.delivery import Origin
    from gatewayd.message.mail import Mail
    from gatewayd.message.message_ids import Signer

__all__ = ["Returned", "returned"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """The deliveries of ours that a mail brings back."""

    #: The messages of ours that the mail names, with those that it answers by a server's id.
    provenance: Provenance
    #: Whose deliveries they are, the nearest first; without those that are no longer in the store.
    origins: tuple[Origin, ...]
    #: Message-IDs of ours by the ids that servers gave them.
    renamed: Mapping[str, str]


def returned(
    mails: Iterable[Mail], signer: Signer, origins: Callable[[Collection[str], Collection[str]], Sequence[Origin]]
) -> Mapping[int, Returned]:
    """Return the deliveries that each mail brings back, by its id. ``origins`` is the store's verb; raises what it raises."""
    found = {mail.id: provenance(mail, signer) for mail in mails}
    message_ids = {one for each in found.values() for one in each.ours}
    server_ids = {one for each in found.values() for one in each.foreign}
    known = origins(message_ids, server_ids) if message_ids or server_ids else ()
    return {mail_id: _returned(each, known) for mail_id, each in found.items()}


def _returned(found: Provenance, known: Sequence[Origin]) -> Returned:
    renamed = {one.server_id: one.message_id for one in known if one.server_id in found.foreign and one.server_id}
    if renamed:
        answered = (*(renamed[one] for one in found.foreign if one in renamed), *found.answered)
        found = replace(found, answered=tuple(dict.fromkeys(answered)))
    near = {message_id: place for place, message_id in enumerate(found.ours)}
    mine = sorted((one for one in known if one.message_id in near), key=lambda one: near[one.message_id])
    return Returned(provenance=found, origins=tuple(mine), renamed=renamed)
