"""The forwarder ``office365`` and its courier: Exchange sends a draft that we made, and surely not twice."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from gatewayd import (
    AnswerLost,
    AuthError,
    Courier,
    Forwarder,
    PermanentError,
    Receipt,
    Recipient,
    TransientError,
    notice_mail,
    wire,
)
from gatewayd_office365.drafts import Drafts
from gatewayd_office365.graph import GraphClient
from gatewayd_office365.json_objects import json_object, text_of
from gatewayd_office365.options import Office365Options
from gatewayd_office365.outgoing_mail import OutgoingMail, PutOff, people
from gatewayd_office365.problems import sending_problems
from gatewayd_office365.reading import is_gone

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd import Mode, Notice, Parcel, RecipientState
    from gatewayd_office365.graph_faults import GraphAnswer

__all__ = ["Office365Courier", "Office365Forwarder", "SendingNote"]

_ACCEPTED = 202
#: So many seconds a request to send may be under way in Exchange, though nobody waits for its answer.
_UNDER_WAY = 60.0
#: So many seconds a mail is looked for that may have been sent, and so many between two looks.
_LOOKED_FOR, _LOOK_AGAIN = 900.0, 60.0


class _Verdict(NamedTuple):
    """What became of a mail, for all of its recipients: a draft goes to all of them at once."""

    state: RecipientState
    words: str
    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingNote:
    """What is on the disk about a mail that was begun, in ``Parcel.note``."""

    #: The id of the draft, which it keeps in all folders. Empty while the draft is made: it has not been sent then.
    draft: str = ""
    #: When Exchange was asked to send it, or refused it, in seconds since 1970.
    since: float = 0.0
    #: Exchange was asked to send it, and has not refused that: it may be about to.
    is_asked: bool = True

    @property
    def age(self) -> float:
        """Seconds since Exchange was asked to send it; as many if the clock was set back meanwhile."""
        return abs(time.time() - self.since)

    @property
    def text(self) -> str:
        """As it is written down."""
        return json.dumps({"draft": self.draft, "since": self.since, "asked": self.is_asked})

    @classmethod
    def of(cls, text: str) -> SendingNote | None:
        """Return the note that a text is; None if there is none."""
        found = json_object(text.encode())
        if found is None:
            return None
        since = found.get("since")
        return cls(
            draft=text_of(found, "draft"),
            since=since if isinstance(since, float) else 0.0,
            is_asked=found.get("asked") is not False,
        )


class Office365Forwarder(Forwarder):
    """Sends mail from a mailbox of Exchange Online by Microsoft Graph."""

    kind: ClassVar[str] = "office365"
    sends_mail: ClassVar[bool] = True
    #: Exchange makes a mail anew, with a From of its own: it can resend none to the byte.
    modes: ClassVar[tuple[Mode, ...]] = ("attached", "as is")

    Options = Office365Options  # type: ignore[assignment]  # mypy takes the base's nested class for the only one that fits
    options: Office365Options

    def open(self) -> Office365Courier:
        """Get an access token, unless there is one. Raises AuthError or TransientError."""
        graph = GraphClient(self.options)
        graph.token()
        graph.identify()
        return Office365Courier(self.options, graph)


class Office365Courier(Courier):
    """A mailbox that there is an access token for."""

    def __init__(self, options: Office365Options, graph: GraphClient) -> None:
        self._graph = graph
        self._drafts = Drafts(graph, options)

    def deliver(self, parcels: Sequence[Parcel]) -> Iterator[Receipt]:
        """See ``Courier.deliver``."""
        for parcel in parcels:
            try:
                verdict = self._delivered(parcel)
            except PermanentError as error:
                verdict = _Verdict("refused", error.sentences)
            except PutOff as error:
                verdict = _Verdict("waiting", error.sentences, error.retry_after)
            state, words, later = verdict
            recipients = tuple(Recipient(address=address, state=state, words=words) for address in parcel.to)
            yield Receipt(id=parcel.id, recipients=recipients, retry_after=later)

    def notify(self, notice: Notice) -> Sequence[str]:
        """See ``Courier.notify``."""
        to = people(("", wire(address)) for address in notice.to)
        draft = self._drafts.make_of_mime(notice_mail(notice).pieces(), {"toRecipients": to})
        answer = self._drafts.send(draft)
        if answer.status != _ACCEPTED:
            self._drafts.delete(draft)
            raise answer.told
        return []

    def problems(self) -> Sequence[str]:
        """See ``Courier.problems``: the permissions, as far as the token shows them, and the mailbox."""
        return sending_problems(self._graph)

    def abort(self) -> None:
        """See ``Courier``."""
        self._graph.abort()
        self._drafts.abort()

    def close(self) -> None:
        """See ``Courier``. There is nothing to log out of, and connections are kept for others."""

    # --- one mail -----------------------------------------------------------------------------------------------------

    def _delivered(self, parcel: Parcel) -> _Verdict:
        """Send a mail. Raises PermanentError where it was surely not sent and never can be."""
        begun = SendingNote.of(parcel.note.text)
        if begun is not None and begun.draft:
            return self._again(parcel, begun)
        mail = OutgoingMail(parcel)
        if begun is not None:
            self._drafts.clear(parcel.message_id, mail.references)
        else:
            parcel.note.write(SendingNote().text)
        return self._send(parcel, self._drafts.make(mail))

    def _send(self, parcel: Parcel, draft: str) -> _Verdict:
        def note(*, is_asked: bool = True) -> None:
            parcel.note.write(SendingNote(draft=draft, since=time.time(), is_asked=is_asked).text)

        try:
            # From when it begins on it may have been sent, whatever happens to this process.
            answer = self._drafts.send(draft, begins=note)
        except AnswerLost as lost:
            if self._graph.is_aborted:
                raise
            return self._looked(parcel, lost.sentences)
        except (AuthError, TransientError):
            # Nothing of the request was sent, or Exchange said that it will not: the next try need not wait for what it may do.
            note(is_asked=False)
            raise
        if answer.status == _ACCEPTED:
            return _Verdict("delivered", f"{_ACCEPTED} Exchange has taken it over")
        if answer.is_good:
            return self._looked(parcel, f"{answer.where}: HTTP {answer.status}, expected {_ACCEPTED}")
        error = answer.told
        if isinstance(error, AuthError):
            note(is_asked=False)
            raise error
        if isinstance(error, PermanentError) and not is_gone(answer):
            self._drafts.delete(draft)
            raise error
        return self._looked(parcel, error.sentences, answer)

    def _again(self, parcel: Parcel, note: SendingNote) -> _Verdict:
        """Send a mail that may have been sent, if it surely was not."""
        found = self._drafts.read(note.draft)
        drafted = found is not None and found.get("isDraft") is True and text_of(found, "parentFolderId") == self._drafts.folder()
        # What was asked a moment ago, perhaps by a process that was killed, may be under way.
        if drafted and (not note.is_asked or note.age > _UNDER_WAY):
            return self._send(parcel, note.draft)
        return self._looked(parcel, "")

    def _looked(self, parcel: Parcel, why: str, answer: GraphAnswer | None = None) -> _Verdict:
        """Return what became of a mail that may have been sent. It is not sent again in this try: Exchange may be about to."""
        note = SendingNote.of(parcel.note.text) or SendingNote()
        found = self._drafts.read(note.draft)
        if found is not None and found.get("isDraft") is False:
            return _sent(found)
        if found is None and (copy := self._drafts.sent_copy(parcel.message_id)):
            return _sent(self._drafts.read(copy) or {})
        drafted = found is not None and text_of(found, "parentFolderId") == self._drafts.folder()
        if not drafted and note.age > _LOOKED_FOR:
            what = "the draft was moved" if found is not None else "the draft is gone, and there is no copy in Sent Items"
            raise PermanentError(
                f"it may have been sent: {what}",
                advice="Look whether its recipients have it. `gatewayd outbox retry` sends it once more.",
            )
        words = why or "Exchange has not said whether it has sent it, and it is looked for"
        later = answer.error if answer is not None else None
        asked = later.retry_after if isinstance(later, TransientError) else None
        return _Verdict("waiting", words, asked if drafted and asked is not None else _LOOK_AGAIN)


def _sent(found: object) -> _Verdict:
    known = text_of(found, "internetMessageId")
    return _Verdict("delivered", f"Exchange has sent it{f' as {known}' if known else ''}")
