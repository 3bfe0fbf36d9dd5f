"""Translate refusals of Microsoft Graph into gatewayd's five errors: the table of all that are known.

Source: "Microsoft Graph error responses and resource types". The code decides, then the status, and never the text. Codes are
compared without regard to case.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatewayd import AuthError, PermanentError, TransientError, quoted, retry_after
from gatewayd_office365.json_objects import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewayd import GatewaydError

__all__ = ["GRAPH_FAULTS", "GraphAnswer", "GraphFault"]

_CODE = re.compile(r"[0-9A-Za-z_.-]{1,100}")
_OK, _REDIRECT, _TOO_MANY, _FAULTY = 200, 300, 429, 500


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphFault:
    """One kind of refusal."""

    codes: tuple[str, ...]
    #: The statuses that stand for it if the code is unknown.
    statuses: tuple[int, ...] = ()
    verb: type[AuthError | PermanentError | TransientError]
    what: str
    advice: str


_CONSENT = (
    "In the Microsoft Entra admin center (entra.microsoft.com), App registrations, your app, API permissions: add the application "
    "permissions Mail.ReadWrite and Mail.Send of Microsoft Graph, and grant admin consent. Or grant them in Exchange by RBAC for "
    "Applications, and see with Test-ServicePrincipalAuthorization whether they reach this mailbox. An old "
    "New-ApplicationAccessPolicy may keep the app out, too. Changes take up to two hours. A credential with `consent` has the "
    "delegated permissions of these names, and opens the mailbox of the person who consented alone."
)
_LATER = "If it lasts, see the service health in the Microsoft 365 admin center."

GRAPH_FAULTS = (
    GraphFault(
        codes=("InvalidAuthenticationToken",),
        statuses=(401,),
        verb=AuthError,
        what="the access token is refused",
        advice="If none was ever taken, check that `graph` and `authority` belong to the same cloud. Else Microsoft refuses new "
        "tokens, too: see the sign-in logs of the app or of the user in the Microsoft Entra admin center.",
    ),
    GraphFault(
        codes=("ErrorAccessDenied", "Authorization_RequestDenied"),
        statuses=(403,),
        verb=AuthError,
        what="the app may not do this in the mailbox",
        advice=_CONSENT,
    ),
    GraphFault(
        codes=("ErrorInvalidUser", "Request_ResourceNotFound", "ResourceNotFound"),
        verb=AuthError,
        what="the tenant has no such mailbox",
        advice="Check `mailbox`: the user's Object ID in the Microsoft Entra admin center, Users, or the mailbox's address.",
    ),
    GraphFault(
        codes=("MailboxNotEnabledForRESTAPI", "MailboxNotSupportedForRESTAPI"),
        verb=AuthError,
        what="the user has no mailbox in Exchange Online",
        advice="Give the user a licence with Exchange Online in the Microsoft 365 admin center, or move the mailbox there.",
    ),
    GraphFault(
        codes=("ErrorItemNotFound",),
        statuses=(404,),
        verb=PermanentError,
        what="there is no such folder or message any more",
        advice="Check `folders` and `after`.",
    ),
    GraphFault(
        codes=("SyncStateNotFound", "SyncStateInvalid", "resyncRequired"),
        statuses=(410,),
        verb=TransientError,
        what="Microsoft has lost where the listing was",
        advice=_LATER,
    ),
    GraphFault(
        codes=("ErrorQuotaExceeded",),
        verb=TransientError,
        what="the mailbox is full",
        advice="Make room in the mailbox.",
    ),
    GraphFault(
        codes=("ErrorContentConversionFailed",),
        verb=TransientError,
        what="Exchange can't write the message out: it is damaged there",
        advice="Open the message in Outlook, and delete it or move it elsewhere.",
    ),
    GraphFault(
        codes=("ErrorMessageSizeExceeded", "RequestEntityTooLarge"),
        statuses=(413,),
        verb=PermanentError,
        what="the request is larger than Exchange allows",
        advice="See the limits of message sizes in the Exchange admin center.",
    ),
    GraphFault(
        codes=("ErrorSendAsDenied",),
        verb=PermanentError,
        what="the mailbox may not send as this From",
        advice="Send as the mailbox itself, or grant Send As in the Exchange admin center, Mailboxes, Delegation.",
    ),
    GraphFault(
        codes=("ErrorInvalidRecipients", "ErrorInvalidEmailAddress"),
        verb=PermanentError,
        what="an address of a recipient is refused",
        advice="Correct the address.",
    ),
    GraphFault(
        codes=("ApplicationThrottled", "TooManyRequests"),
        statuses=(429,),
        verb=TransientError,
        what="the app has made too many requests",
        advice="If it lasts, give some accounts an app of their own, or a longer `every`.",
    ),
    GraphFault(
        codes=("ServiceUnavailable", "MailboxInfoStale", "InternalServerError"),
        statuses=(500, 502, 503, 504, 509),
        verb=TransientError,
        what="Exchange is not available",
        advice=_LATER,
    ),
)
_BY_CODE = {code.lower(): fault for fault in GRAPH_FAULTS for code in fault.codes}
_BY_STATUS = {status: fault for fault in GRAPH_FAULTS for status in fault.statuses}
_UNKNOWN = GraphFault(
    codes=(), verb=PermanentError, what="Microsoft Graph refuses this", advice="Look the code up in Microsoft's docs."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphAnswer:
    """An answer with its whole body."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    #: The JSON object that the body is; empty if it is none.
    data: Mapping[str, object] = field(repr=False)
    #: Server and request, as they begin the message of an error.
    where: str

    @property
    def is_good(self) -> bool:
        """Whether the request was done."""
        return _OK <= self.status < _REDIRECT

    @property
    def code(self) -> str:
        """The code of an error, in lower case; empty if there is none."""
        return text_of(self.data, "error", "code").lower()

    @property
    def error(self) -> GatewaydError:
        """What a refusal means, with its advice."""
        return self._error("")

    @property
    def told(self) -> GatewaydError:
        """``error`` with Exchange's own words, where people look for the reason why one mail was not sent."""
        words = quoted(text_of(self.data, "error", "message"), [])
        return self._error(f": {words}" if words else "")

    def _error(self, words: str) -> GatewaydError:
        status, code = self.status, text_of(self.data, "error", "code")
        fault = _BY_CODE.get(code.lower()) or _BY_STATUS.get(status) or _UNKNOWN
        number = code if _CODE.fullmatch(code) else f"HTTP {status}"
        request = text_of(self.data, "error", "innerError", "request-id") or self.headers.get("request-id", "")
        traced = f", request id {request}" if _CODE.fullmatch(request) else ""
        text = f"{self.where}: {fault.what} ({number}{traced}){words}"
        if fault.verb is TransientError or status == _TOO_MANY or status >= _FAULTY:
            return TransientError(text, advice=fault.advice, retry_after=retry_after(self.headers))
        return fault.verb(text, advice=fault.advice)

    def checked(self) -> GraphAnswer:
        """Return the answer; raises its ``error`` if it is a refusal."""
        if not self.is_good:
            raise self.error
        return self
