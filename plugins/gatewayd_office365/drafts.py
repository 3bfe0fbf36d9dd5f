"""Drafts in Exchange: make one of a mail, with its files, find it by our mark, and delete it."""

from __future__ import annotations

import base64
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from gatewayd import AuthError, PermanentError, TransientError, reference
from gatewayd_office365.delta import objects_of
from gatewayd_office365.graph_requests import GraphRequest
from gatewayd_office365.json_objects import text_of
from gatewayd_office365.outgoing_mail import MARK, REFERENCES, PutOff
from gatewayd_office365.reading import is_gone
from gatewayd_office365.upload import Uploader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from gatewayd import Json
    from gatewayd_office365.graph import GraphClient
    from gatewayd_office365.graph_faults import GraphAnswer
    from gatewayd_office365.options import Office365Options
    from gatewayd_office365.outgoing_mail import OutgoingFile, OutgoingMail

__all__ = ["Drafts"]

#: Files from here on take the way of an upload session ("Attach large files to Outlook messages or events").
_LEAST_UPLOAD = 3 << 20
#: More drafts than a delivery can have left behind.
_MOST = 20


class Drafts:
    """The drafts of one mailbox. Used by one thread, but for ``abort``.

    Where Exchange refuses something, PermanentError, AuthError and PutOff have its words.
    """

    def __init__(self, graph: GraphClient, options: Office365Options) -> None:
        self._graph = graph
        self._limit = options.mime_bytes
        self._uploader = Uploader(options)

    def abort(self) -> None:
        """Break off an upload; from any thread. Never raises."""
        self._uploader.abort()

    def make(self, mail: OutgoingMail) -> str:
        """Make a draft of a mail, and return its id. If that fails, what there is of it is deleted where that can be done."""
        if mail.size <= self._limit:
            return self.make_of_mime(mail.mime(), mail.addressed())
        draft = self._new(self._posted("a draft", "messages", data=mail.data()))
        with self._deleted(draft):
            for one in mail.files():
                self._attach(draft, one)
        return draft

    def make_of_mime(self, mime: Iterable[bytes], addressed: Mapping[str, Json]) -> str:
        """Make a draft of MIME, which has no envelope and no place for a mark: ``addressed`` are properties that it gets then."""
        draft = self._new(self._posted("a draft", "messages", body=base64.b64encode(b"".join(mime))))
        with self._deleted(draft):
            target = self._graph.path("messages", draft)
            asked = GraphRequest(what="to address a draft", method="PATCH", target=target, data=addressed)
            self._done(self._graph.request(asked))
        return draft

    def clear(self, message_id: str, references: str) -> None:
        """Delete the drafts of a delivery that was surely never sent, by our mark, and by the Message-ID that we gave it.

        One of MIME has no mark yet if the answer to its making was lost, and Exchange may have replaced its Message-ID at once. It
        is known by its ``references``, in which we are named. A person's draft with others beside them, such as an answer, stays.
        Where Exchange refuses to look for them, they stay: they do no harm, and must not keep the mail from being sent.
        """
        for condition in (_marked(message_id), f"internetMessageId eq {_quoted(message_id)}"):
            for draft in _ids(self._looked_for("drafts", condition)):
                self.delete(draft)
        ours = reference(message_id)
        if ours in references.split():
            condition = f"singleValueExtendedProperties/any(ep: ep/id eq '{REFERENCES}' and contains(ep/value, {_quoted(ours)}))"
            for one in objects_of(self._looked_for("drafts", condition, shows=REFERENCES).data):
                if _value(one).split() == references.split():
                    self.delete(text_of(one, "id"))

    def sent_copy(self, message_id: str) -> str:
        """Return the id of the copy in Sent Items that has our mark; empty if there is none."""
        return next(iter(_ids(self._seen(self._looked_for("sentitems", _marked(message_id))))), "")

    def read(self, draft: str) -> Mapping[str, object] | None:
        """Return ``isDraft``, ``parentFolderId`` and ``internetMessageId`` of a message, in whatever folder; None if it is gone."""
        query = "$select=id,isDraft,parentFolderId,internetMessageId"
        answer = self._graph.request(GraphRequest(what="the draft", target=self._graph.path("messages", draft, query=query)))
        return None if is_gone(answer) else self._seen(answer).data

    def folder(self) -> str:
        """Return the id of the folder Drafts."""
        target = self._graph.path("mailFolders", "drafts", query="$select=id")
        return text_of(self._seen(self._graph.request(GraphRequest(what="the folder of drafts", target=target))).data, "id")

    def send(self, draft: str, *, begins: Callable[[], object] = lambda: None) -> GraphAnswer:
        """Have a draft sent, and return the answer: 202 alone says that it is. ``begins``: see ``GraphRequest``."""
        return self._graph.request(replace(self._posted("to send a mail", "messages", draft, "send"), begins=begins))

    def delete(self, draft: str) -> None:
        """Delete a draft, if that can be done: one that is left behind does no harm."""
        target = self._graph.path("messages", draft)
        with suppress(AuthError, TransientError):
            self._graph.request(GraphRequest(what="to delete a draft", method="DELETE", target=target))

    # --- requests -----------------------------------------------------------------------------------------------------

    def _posted(self, what: str, *path: str, data: Mapping[str, Json] | None = None, body: bytes = b"") -> GraphRequest:
        kind = "text/plain" if body else "application/json"
        target = self._graph.path(*path)
        return GraphRequest(what=what, method="POST", target=target, data=data, body=body, content_type=kind, repeat=False)

    def _done(self, answer: GraphAnswer) -> GraphAnswer:
        """Return the answer; raises what it means if it is a refusal, with Exchange's words."""
        if answer.is_good:
            return answer
        error = answer.told
        if isinstance(error, TransientError):
            raise PutOff(error.message, advice=error.advice, retry_after=error.retry_after)
        raise error

    def _seen(self, answer: GraphAnswer) -> GraphAnswer:
        """Return the answer to a question about a mail that may have been sent: no refusal of it says that it was not."""
        error = None if answer.is_good else answer.told
        if isinstance(error, PermanentError):
            raise PutOff(f"it may have been sent, and it can't be looked for: {error.message}", advice=error.advice)
        return self._done(answer)

    def _new(self, asked: GraphRequest) -> str:
        # What Exchange may have done is not repeated: a second draft would be left behind.
        answer = self._done(self._graph.request(asked))
        draft = text_of(answer.data, "id")
        if not draft:
            raise PutOff(f"{answer.where}: the answer has no id")
        return draft

    @contextmanager
    def _deleted(self, draft: str) -> Iterator[None]:
        """Delete a draft that can't be made whole."""
        try:
            yield
        except (PermanentError, TransientError):
            self.delete(draft)
            raise

    def _attach(self, draft: str, one: OutgoingFile) -> None:
        if one.size < _LEAST_UPLOAD:
            content = base64.b64encode(b"".join(one.pieces())).decode()
            data: dict[str, Json] = {
                "@odata.type": "#microsoft.graph.fileAttachment",
                "name": one.name,
                "contentType": one.type,
                "contentBytes": content,
            }
            self._done(self._graph.request(self._posted("to attach a file", "messages", draft, "attachments", data=data)))
            return
        item: dict[str, Json] = {"attachmentType": "file", "name": one.name, "size": one.size, "contentType": one.type}
        path = ("messages", draft, "attachments", "createUploadSession")
        answer = self._graph.request(self._posted("to begin an upload", *path, data={"AttachmentItem": item}))
        self._uploader.upload(text_of(self._done(answer).data, "uploadUrl"), one)

    def _looked_for(self, folder: str, condition: str, *, shows: str = "") -> GraphAnswer:
        """List messages; with the value of the property ``shows``, if it is given."""
        query = f"$select=id&$top={_MOST}&$filter={quote(condition, safe='')}"
        if shows:
            expanded = f"singleValueExtendedProperties($filter=id eq '{shows}')"
            query += f"&$expand={quote(expanded, safe='')}"
        target = self._graph.path("mailFolders", folder, "messages", query=query)
        return self._graph.request(GraphRequest(what="to look for a mail", target=target))


def _ids(answer: GraphAnswer) -> list[str]:
    return [found for one in objects_of(answer.data) if (found := text_of(one, "id"))]


def _value(one: Mapping[str, object]) -> str:
    """Return the extended property that a message is shown with."""
    found = one.get("singleValueExtendedProperties")
    return text_of(found[0], "value") if isinstance(found, list) and found else ""


def _marked(message_id: str) -> str:
    """Return the condition of a filter for messages that have our mark."""
    return f"singleValueExtendedProperties/any(ep: ep/id eq '{MARK}' and ep/value eq {_quoted(message_id)})"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
