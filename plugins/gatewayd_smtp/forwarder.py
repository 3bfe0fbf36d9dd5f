"""The forwarder ``smtp`` and its courier: several mails over one connection, with a result for each recipient (RFC 5321)."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from gatewayd import (
    Courier,
    Forwarder,
    GatewaydError,
    PermanentError,
    Receipt,
    Recipient,
    TransientError,
    forwarded,
    notice_mail,
    socket_errors,
    wire,
)
from gatewayd_smtp.connect import connect, hang_up
from gatewayd_smtp.faults import LATER, NEVER, OK, Goodbye, closed, garbled, reply_text, unfit
from gatewayd_smtp.options import SmtpOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from gatewayd import Notice, Parcel, RecipientState, Written
    from gatewayd_smtp.client import SmtpClient

__all__ = ["Smtp", "SmtpCourier"]

_SEND_IT = 354
#: What old servers say of too many recipients, where they mean that those who are left may come in the next mail (RFC 5321 section
#: 4.5.3.1.10). Others say it of one whose mailbox is full.
_TOO_MANY = 552
_PARTING_SECONDS = 1.0
#: What xtext encodes (RFC 3461 section 4).
_NO_XTEXT = re.compile(r"[^!-~]|[+=]")
_LONGEST_ENVID = 100
_SIZE = re.compile("[0-9]{1,20}")
_STATES: dict[int, RecipientState] = {OK: "delivered", LATER: "waiting", NEVER: "refused"}
#: The state of a recipient, and the server's reply.
_Verdict: TypeAlias = "tuple[RecipientState, str]"


class Smtp(Forwarder):
    """Hands mail to an SMTP server."""

    kind: ClassVar[str] = "smtp"
    sends_mail: ClassVar[bool] = True

    Options = SmtpOptions  # type: ignore[assignment]  # mypy takes the base's nested class for the only one that fits
    options: SmtpOptions

    def open(self) -> SmtpCourier:
        """Connect, start TLS and log in. Raises AuthError, TransientError, or ConfigError for an unusable ``ca_file``."""
        return SmtpCourier(self.options, connect(self.options))


class SmtpCourier(Courier):
    """One connection to an SMTP server, over which one mail goes after the other."""

    def __init__(self, options: SmtpOptions, client: SmtpClient) -> None:
        self._options = options
        self._client = client
        #: No mail is being sent. A connection that broke within a mail is closed without QUIT.
        self._idle = True
        #: How many mails this connection has taken.
        self._taken = 0
        #: A mail was sent, and the server has not answered to its end: it may have taken the mail over.
        self._unanswered = False
        self._aborted = False

    def deliver(self, parcels: Sequence[Parcel]) -> Iterator[Receipt]:
        """See ``Courier.deliver``. SMTP servers don't say when to try again, so receipts have no ``retry_after``."""
        for parcel in parcels:
            if self._taken >= self._options.messages_per_connection or self._client.hasty:
                self._connect_anew()
            if not self._client.is_open:
                raise closed(self._options)
            self._idle = False
            with socket_errors(self._options, self._options.effective_port):
                receipt = self._deliver_surely(parcel)
            self._idle = True
            self._taken += 1
            yield receipt

    def notify(self, notice: Notice) -> Sequence[str]:
        """See ``Courier.notify``: a mail with the null sender, so that nothing comes back (RFC 3834 section 3.3)."""
        written = notice_mail(notice)
        known, verdicts = self._wired(notice.to)
        self._idle = False
        with socket_errors(self._options, self._options.effective_port):
            verdicts |= self._transaction("MAIL FROM:<>", known, written) if known else {}
        self._idle = True
        missed = {address: f"{address}: {reply}" for address, (state, reply) in verdicts.items() if state != "delivered"}
        if len(missed) == len(verdicts):
            later = any(state == "waiting" for state, _ in verdicts.values())
            raise (TransientError if later else PermanentError)(f"{self._options.where}: {'; '.join(missed.values())}")
        return list(missed.values())

    def abort(self) -> None:
        """Break the connection. No other is made after it."""
        self._aborted = True
        self._client.connection.cut()

    def close(self) -> None:
        """Say QUIT and close, within a second; without QUIT if a mail broke off."""
        if self._idle:
            hang_up(self._client)
        else:
            self._client.close()

    def _connect_anew(self) -> None:
        self.close()
        self._taken = 0
        if self._aborted:
            raise closed(self._options)
        # ``abort`` sets its flag before it cuts the client, so one of the two threads sees the other.
        self._client = connect(self._options)
        if self._aborted:
            self._client.close()

    def _deliver_surely(self, parcel: Parcel) -> Receipt:
        """Deliver a mail. If the server ends a connection that took other mails, but surely not this one, use a new connection."""
        self._unanswered = False
        try:
            return self._deliver(parcel)
        except (ConnectionError, Goodbye):
            if self._unanswered or not self._taken:
                raise
        self._connect_anew()
        return self._deliver(parcel)

    # --- one mail -------------------------------------------------------------------------------------------------

    def _deliver(self, parcel: Parcel) -> Receipt:
        try:
            written = self._written(parcel)
            sender = self._wire(parcel.sender.email if parcel.sender else "")
        except PermanentError as error:
            return _receipt(parcel, dict.fromkeys(parcel.to, ("refused", error.sentences)))
        known, verdicts = self._wired(parcel.to)
        if known:
            begin = f"MAIL FROM:<{sender}>{self._parameters(parcel, (sender, *known.values()), written)}"
            verdicts |= self._transaction(begin, known, written)
        return _receipt(parcel, verdicts)

    def _written(self, parcel: Parcel) -> Written:
        """Return the mail in a form that this server accepts; raises PermanentError if there is none."""
        written = forwarded(parcel, eight_bit=self._client.has_extn("8bitmime"), smtputf8=self._client.has_extn("smtputf8"))
        limit = self._client.esmtp_features.get("size", "")
        # 0 and no number say that there is no fixed limit, and a number has 20 digits at most (RFC 1870 sections 4 and 5).
        if _SIZE.fullmatch(limit) and 0 < int(limit) < written.size:
            raise PermanentError(f"it has {written.size} bytes, and {self._options.where} takes at most {int(limit)}")
        return written

    def _wired(self, addresses: Iterable[str]) -> tuple[dict[str, str], dict[str, _Verdict]]:
        """Return the addresses that this server accepts, in its form, and a refusal for each of the others."""
        known: dict[str, str] = {}
        verdicts: dict[str, _Verdict] = {}
        for address in addresses:
            try:
                known[address] = self._wire(address)
            except PermanentError as error:
                verdicts[address] = "refused", error.sentences
        return known, verdicts

    def _wire(self, address: str) -> str:
        """Return an address in the form for this server; raises PermanentError if it needs SMTPUTF8 (RFC 6531 section 3.2)."""
        known = wire(address)
        if not known.isascii() and not self._client.has_extn("smtputf8"):
            raise PermanentError(f"{address!r} is not ASCII before the @, and {self._options.where} does not offer SMTPUTF8")
        return known

    def _transaction(self, begin: str, known: Mapping[str, str], written: Written) -> dict[str, _Verdict]:
        """Send a mail (RFC 5321 section 3.3) and return the server's verdict on each recipient."""
        digit, reply = self._ask(begin)
        if digit != OK:
            return dict.fromkeys(known, (_STATES[digit], reply))
        verdicts: dict[str, _Verdict] = {}
        accepted: list[str] = []
        for address, wired in known.items():
            code, text = self._client.ask(f"RCPT TO:<{wired}>")
            digit, reply = self._checked(code, text)
            # Behind one that was accepted it may be a word on their number: alone it is asked for once more.
            verdicts[address] = "waiting" if code == _TOO_MANY and accepted else _STATES[digit], reply
            accepted += [address] if digit == OK else []
        begun, verdict = self._data(written) if accepted else (False, ("refused", ""))
        if not begun:
            self._reset()
        return verdicts | dict.fromkeys(accepted, verdict)

    def _reset(self) -> None:
        """End an open transaction. The verdicts on the mail stand, even if the server hangs up now.

        If the server does not end it, it would refuse the next MAIL, so the next mail uses a new connection.
        """
        try:
            digit, _ = self._ask("RSET")
        except (OSError, GatewaydError):
            self._client.close()
        else:
            if digit != OK:
                self._taken = self._options.messages_per_connection

    def _parameters(self, parcel: Parcel, addresses: Iterable[str], written: Written) -> str:
        """Return the parameters of MAIL, as far as the server supports them."""
        size = f" SIZE={written.size}" if self._client.has_extn("size") else ""
        body = " BODY=8BITMIME" if written.eight_bit else ""
        utf8 = "" if "".join(addresses).isascii() else " SMTPUTF8"
        # A bounce names it, whatever else it returns of the mail (RFC 3461 section 4.4).
        envelope_id = _NO_XTEXT.sub(lambda sign: f"+{ord(sign[0]):02X}", parcel.message_id)
        dsn = f" ENVID={envelope_id}" if self._client.has_extn("dsn") and len(envelope_id) <= _LONGEST_ENVID else ""
        return size + body + utf8 + dsn

    def _ask(self, command: str) -> tuple[int, str]:
        """Send a command; return the first digit of its reply, and the reply."""
        return self._checked(*self._client.ask(command))

    def _checked(self, code: int, reply: bytes) -> tuple[int, str]:
        """Return the first digit of a reply, and its text; raises the error for a reply that ends the connection."""
        shown = reply_text(code, reply, self._client.secrets)
        if wrong := unfit(self._options, code, shown):
            raise wrong
        return code // 100, shown

    def _data(self, written: Written) -> tuple[bool, _Verdict]:
        """Send the mail itself; return whether the server accepted DATA, and the verdict."""
        code, reply = self._client.ask("DATA")
        if code != _SEND_IT:
            digit, shown = self._checked(code, reply)
            if digit == OK:
                raise garbled(self._options, shown.encode())
            return False, (_STATES[digit], shown)
        self._unanswered = True
        try:
            self._client.send_data(written.pieces())
        except ConnectionError as error:
            return True, self._parting(error)
        # From here on the server may have accepted the mail; only its reply tells. Without a reply the mail is sent again, with
        # the same Message-ID.
        final = self._client.reply("the end of a mail", self._options.patience)
        self._unanswered = False
        digit, shown = self._checked(*final)
        return True, (_STATES[digit], shown)

    def _parting(self, error: ConnectionError) -> _Verdict:
        """Return the refusal of a server that hung up within a mail; raises ``error`` if it sent none."""
        with suppress(OSError, TransientError):
            digit, shown = self._checked(*self._client.reply("a refusal", _PARTING_SECONDS))
            if digit == NEVER:
                return "refused", shown
        raise error


def _receipt(parcel: Parcel, verdicts: Mapping[str, _Verdict]) -> Receipt:
    found = ((address, *verdicts[address]) for address in parcel.to)
    return Receipt(
        id=parcel.id, recipients=tuple(Recipient(address=address, state=state, words=reply) for address, state, reply in found)
    )
