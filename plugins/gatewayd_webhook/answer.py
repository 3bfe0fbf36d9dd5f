"""Decide from a server's HTTP response what becomes of a delivery (RFC 9110 section 15; Standard Webhooks, "Delivery")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewayd import Receipt, Recipient, retry_after

if TYPE_CHECKING:
    from gatewayd import Parcel, RecipientState
    from gatewayd_webhook.signature import Keys

__all__ = ["WebhookAnswer", "receipt"]

_GONE, _TOO_OFTEN = 410, 429
#: What of 4xx may go well later: too slow, too early, too often.
_LATER = {408, 425, _TOO_OFTEN}
_SAFE = "the answer is not shown: it repeats the secret"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookAnswer:
    """What a server answered."""

    status: int
    reason: str
    #: The values of Retry-After and Location; empty where there are none.
    retry_after: str = ""
    location: str = ""
    #: As much of the body as was read.
    body: bytes = b""

    @property
    def state(self) -> RecipientState:
        """What becomes of the delivery."""
        if 200 <= self.status < 300:  # noqa: PLR2004  the classes of RFC 9110
            return "delivered"
        return "waiting" if self.status >= 500 or self.status in _LATER else "refused"  # noqa: PLR2004  the same

    @property
    def patience(self) -> float | None:
        """Seconds that the server asks us to wait, at most a day; None where it does not say (RFC 9110 section 10.2.3)."""
        return retry_after({"retry-after": self.retry_after})

    @property
    def is_busy(self) -> bool:
        """Whether nothing more is to be sent for now, and not only this."""
        return self.state == "waiting" and (self.status == _TOO_OFTEN or self.patience is not None)

    def text(self, keys: Keys) -> str:
        """Return status, reason and the beginning of the body, for people, on one line."""
        shown = _printable(self.body.decode("utf-8", "replace"))
        text = _printable(f"{self.status} {self.reason}")
        if self.state != "delivered" and shown:
            text += f": {shown}"
        if 300 <= self.status < 400:  # noqa: PLR2004  the same
            moved = _printable(self.location.partition("?")[0])
            text = f"{self.status} redirects{f' to {moved}' if moved else ''}, which is not followed: correct `url`"
        if self.status == _GONE:
            text += "; the receiver wants no more: take the target out of the rules"
        return f"{self.status}; {_SAFE}" if any(keys.are_in(each) for each in (self.reason, self.location, self.body)) else text


def _printable(text: str, length: int = 200) -> str:
    """Return a server's words on one line, cut, without what a terminal would obey."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())[:length]


def receipt(parcel: Parcel, answer: WebhookAnswer, keys: Keys, *, sent: bool = True) -> Receipt:
    """Return what became of a parcel that was answered so, or was not sent since the one before it was."""
    words = answer.text(keys) if sent else f"not sent, since the server asked to wait: {answer.text(keys)}"
    recipients = tuple(Recipient(address=name, state=answer.state, words=words) for name in parcel.to)
    return Receipt(id=parcel.id, recipients=recipients, retry_after=answer.patience if answer.state == "waiting" else None)
