"""Read what a person chooses a message by: properties that Graph gives by `$select`, a thousand messages at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd import Summary
from gatewayd_office365.cursor import moment_of
from gatewayd_office365.delta import listed_of
from gatewayd_office365.graph_requests import GraphRequest
from gatewayd_office365.json_objects import text_of
from gatewayd_office365.reading import FEW, is_of_one, newest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gatewayd_office365.graph import GraphClient

__all__ = ["summaries"]

_PROPERTIES = "$select=id,from,toRecipients,subject,sentDateTime,hasAttachments"
#: How many addresses are kept, and how many characters of a text.
_MOST, _LONG = 50, 1000


def summaries(graph: GraphClient, folder: str, keys: Sequence[str]) -> Iterator[Summary]:
    """Yield the summaries of the messages that can be had; ``folder`` is the id of their folder."""
    left = set(keys)
    if len(left) > FEW:
        for data in newest(graph, folder, _PROPERTIES):
            listed = listed_of(data)
            if listed is not None and listed.key in left:
                left.discard(listed.key)
                yield _summary(listed.key, data)
            if not left:
                return
    for key in [key for key in keys if key in left]:
        answer = graph.request(GraphRequest(what="the message", target=graph.path("messages", key, query=_PROPERTIES)))
        if answer.is_good:
            yield _summary(key, answer.data)
        elif not is_of_one(answer):
            raise answer.error


def _summary(key: str, data: Mapping[str, object]) -> Summary:
    sender = text_of(data, "from", "emailAddress", "address")[:_LONG]
    recipients = data.get("toRecipients")
    to = [text_of(one, "emailAddress", "address")[:_LONG] for one in recipients] if isinstance(recipients, list) else []
    attachments = data.get("hasAttachments")
    return Summary(
        key=key,
        sender=sender,
        sender_name=text_of(data, "from", "emailAddress", "name")[:_LONG],
        senders=(sender.lower(),) if sender else (),
        to=tuple(filter(None, to))[:_MOST],
        subject=text_of(data, "subject")[:_LONG],
        sent_at=moment_of(data.get("sentDateTime")),
        attachments=attachments if isinstance(attachments, bool) else None,
    )
