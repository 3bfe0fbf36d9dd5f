"""What a batch brings back of our own deliveries, and whose they are; one question to the store for all of it."""

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
    """What a mail brings back."""

    #: Which messages of ours stand in it, those that it answers by another name among them.
    provenance: Provenance
    #: Whose deliveries they are, the nearest first. Of some nobody knows: they are no longer in the store.
    origins: tuple[Origin, ...]
    #: Message-IDs of ours by the ids that servers gave them.
    renamed: Mapping[str, str]


def returned(
    mails: Iterable[Mail], signer: Signer, origins: Callable[[Collection[str], Collection[str]], Sequence[Origin]]
) -> Mapping[int, Returned]:
    """Return what each mail brings back, by its id; ``origins`` is the store's verb, and what it raises is raised."""
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
