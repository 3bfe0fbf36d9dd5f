"""The mail that arrives in the demo, and what each message must be related to, for each operator that may see it."""

# ruff: noqa: RUF001  people write their own languages

from __future__ import annotations

from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

__all__ = [
    "ADDRESSES",
    "ANSWER",
    "ANSWERED",
    "FORWARDED",
    "IRINA",
    "MAILS",
    "NEWSLETTERS",
    "OFFERED",
    "OUT",
    "REPLY",
    "RESERVATIONS",
    "SALES",
    "Arriving",
]

#: The demo's accounts: two to import from, one to send from, and one for both.
RESERVATIONS = "reservations"
IRINA = "irina"
OUT = "acme-out"
SALES = "sales"
#: A folder of the shared mailbox from which people choose: nothing of it is imported by itself.
NEWSLETTERS = "newsletters"
#: The addresses of the mailboxes, by account.
ADDRESSES = {RESERVATIONS: "reservations@acme.example", IRINA: "irina@acme.example", SALES: "sales@acme.example"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arriving:
    """One message of the demo, and what must come of it."""

    name: str
    account: str = RESERVATIONS
    sender: str
    subject: str
    text: str
    #: A file that is attached: its name and its content.
    attached: tuple[str, bytes] | None = None
    #: By operator, what the filing is linked to as kind and id; an operator that is missing here must not see it.
    links: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict)
    #: The same for records that all fit, so that a person must choose.
    rivals: Mapping[str, frozenset[tuple[str, str]]] = field(default_factory=dict)

    def message(self, number: int, date: datetime, *, answering: str = "") -> bytes:
        """Return the message as a server keeps it; ``number`` makes its Message-ID one of its own.

        ``answering`` is the Message-ID of what it answers.
        """
        message = EmailMessage(policy=SMTP)
        message["Message-ID"] = self.message_id(number)
        message["Date"] = format_datetime(date)
        message["From"] = self.sender
        message["To"] = ADDRESSES[self.account]
        message["Subject"] = self.subject
        if answering:
            message["In-Reply-To"] = message["References"] = answering
        message.set_content(self.text)
        if self.attached:
            name, content = self.attached
            message.add_attachment(content, maintype="application", subtype="pdf", filename=name)
        return message.as_bytes()

    def message_id(self, number: int) -> str:
        """Return the Message-ID of the ``number``-th time that this message arrives."""
        return f"<{self.name}.{number}@mail.example>"


def _of(*records: str) -> frozenset[tuple[str, str]]:
    """Return records written as ``kind id``."""
    return frozenset((record.partition(" ")[0], record.partition(" ")[2]) for record in records)


_NOBODY = _of()
_PDF = b"%PDF-1.4\n1 0 obj << /Type /Catalog >> endobj\ntrailer << /Root 1 0 R >>\n%%EOF\n"

MAILS: tuple[Arriving, ...] = (
    Arriving(
        name="rome-rooms",
        sender="Anna Berger <anna.berger@nordreisen.example>",
        subject="Buchung 4711: zwei weitere Zimmer in Rom",
        text="Guten Tag,\n\nbitte zwei weitere Doppelzimmer für die Gruppe in Rom.\n\nAnna Berger\nNord Reisen\n",
        links={"acme": _of("person P1", "customer C1", "reservation R4711"), "globetrot": _NOBODY},
    ),
    Arriving(
        name="lisbon-payment",
        sender="José Duarte <jose@clube-atlantico.example>",
        subject="Re: Reserva 4712 – sinal já pago",
        text="Bom dia,\n\no sinal da viagem foi pago hoje. Segue o comprovativo amanhã.\n\nCumprimentos\nJosé Duarte\n",
        links={"acme": _of("person P2", "customer C2", "reservation R4712"), "globetrot": _NOBODY},
    ),
    Arriving(
        name="hotel-confirmation",
        sender="Hotel Bellavista <prenotazioni@bellavista.example>",
        subject="Conferma camere, vostro riferimento DB1/5001",
        text="Gentili colleghi,\n\nin allegato la conferma delle camere. È valida fino a venerdì.\n\nL'ufficio\n",
        attached=("conferma.pdf", _PDF),
        links={"acme": _of("supplier S1", "reservation R5001"), "globetrot": _NOBODY},
    ),
    Arriving(
        name="madeira-quote",
        account=SALES,
        sender="José Duarte <jose@clube-atlantico.example>",
        subject="Pedido de orçamento: Madeira em outubro",
        text="Bom dia,\n\npodem enviar um orçamento para 24 pessoas, sete noites no Funchal?\n\nJosé Duarte\n",
        links={"acme": _of("person P2", "customer C2")},
    ),
    Arriving(
        name="prague-insurance",
        sender="Karel Novák <karel.novak@posta.example>",
        subject="Zájezd 8001: dotaz na pojištění",
        text="Dobrý den,\n\nchtěl bych se zeptat, zda je v ceně zájezdu i pojištění storna.\n\nDěkuji, Karel Novák\n",
        links={"acme": _NOBODY, "globetrot": _of("reservation G8001")},
    ),
    Arriving(
        name="school-inquiry",
        sender="Mary Whitfield <m.whitfield@stanmore-school.example>",
        subject="Inquiry: Vienna with 42 pupils in May",
        text="Hello,\n\ncould you quote four nights in Vienna for 42 pupils and 4 teachers?\n\nKind regards\nMary Whitfield\n",
        links={"acme": _NOBODY, "globetrot": _NOBODY},
    ),
    Arriving(
        name="coach-invoice",
        sender="Alpenbus Disposition <dispo@alpenbus.example>",
        subject="Rechnung zu 4711 und 4712",
        text="Sehr geehrte Damen und Herren,\n\ndie Rechnung für beide Fahrten geht heute per Post an Sie.\n\nIhre Disposition\n",
        links={"acme": _of("person P4", "supplier S2", "reservation R4711", "reservation R4712"), "globetrot": _NOBODY},
    ),
    Arriving(
        name="which-4713",
        sender="Marie Lefèvre <marie@voyages-lefevre.example>",
        subject="Dossier 4713 : changement de dates",
        text="Bonjour,\n\nnos clients souhaitent partir une semaine plus tard. Est-ce encore possible ?\n\nMarie Lefèvre\n",
        links={"acme": _of("person P3", "customer C3"), "globetrot": _NOBODY},
        rivals={"acme": _of("reservation R4713B", "reservation R4713O")},
    ),
    Arriving(
        name="upgrade-4712",
        account=SALES,
        sender="Greta Lindqvist <greta.lindqvist@resor.example>",
        subject="Bokning 4712: går det att uppgradera?",
        text="Hej,\n\när det möjligt att få havsutsikt? Vi betalar gärna mellanskillnaden.\n\nGreta Lindqvist\n",
        links={"acme": _of("reservation R4712")},
    ),
    Arriving(
        name="voucher-6100",
        sender="Harbour Tours <desk@harbour-tours.example>",
        subject="Voucher 6100 accepted",
        text="Dear partner,\n\nthe voucher was accepted at our desk this morning.\n\nHarbour Tours\n",
        links={"acme": _of("reservation R6100"), "globetrot": _of("reservation G6100")},
    ),
    Arriving(
        name="athens-ferry",
        sender="Ελένη Παππά <eleni@aegean-travel.example>",
        subject="Κράτηση 8002: ώρες πλοίου",
        text="Καλημέρα,\n\nτο πλοίο φεύγει στις 17:30 αντί για τις 16:00. Παρακαλώ ενημερώστε τους πελάτες.\n\nΕλένη\n",
        links={"acme": _NOBODY, "globetrot": _of("reservation G8002")},
    ),
    Arriving(
        name="honeymoon",
        account=SALES,
        sender="Lena & Paul <lena.und.paul@post.example>",
        subject="Hochzeitsreise nach Sizilien",
        text="Hallo,\n\nwas würde eine Woche Sizilien im September für zwei kosten?\n\nLena und Paul\n",
        links={"acme": _NOBODY},
    ),
    Arriving(
        name="anna-to-irina",
        account=IRINA,
        sender="Anna Berger <Anna.Berger@NordReisen.example>",
        subject="Kurze Frage zu 4711",
        text="Hallo Irina,\n\nkannst du mir die Teilnehmerliste noch einmal schicken?\n\nViele Grüße, Anna\n",
        links={"acme": _of("person P1", "customer C1", "reservation R4711")},
    ),
    Arriving(
        name="driver-to-irina",
        account=IRINA,
        sender="Alpenbus Disposition <dispo@alpenbus.example>",
        subject="Fahrer für Tour 4712",
        text="Hallo Irina,\n\nam Samstag fährt Herr Moser, Telefon wie immer.\n.\nAlpenbus\n",
        links={"acme": _of("person P4", "supplier S2", "reservation R4712")},
    ),
    Arriving(
        name="wroclaw-to-irina",
        account=IRINA,
        sender="Katarzyna Wójcik <k.wojcik@biuro.example>",
        subject="Rezerwacja 5001: lista uczestników",
        text="Dzień dobry,\n\nw załączniku lista uczestników.\n\nPozdrawiam\nKatarzyna Wójcik\n",
        attached=("lista uczestników.pdf", _PDF),
        links={"acme": _of("reservation R5001")},
    ),
    Arriving(
        name="friend-to-irina",
        account=IRINA,
        sender="Tom <tom@friends.example>",
        subject="Photos from Saturday",
        text="Hi Irina,\n\nthe photos are online, have a look!\n\nTom\n",
        links={"acme": _NOBODY},
    ),
)

#: What lies in the folder that people choose from.
OFFERED = tuple(
    Arriving(name=name, sender=sender, subject=subject, text=text)
    for name, sender, subject, text in (
        ("bellavista-spring", "Hotel Bellavista <news@bellavista.example>", "Spring rates in Rome", "Doubles from 89 euros.\n"),
        ("alpenbus-fleet", "Alpenbus <news@alpenbus.example>", "Neue Reisebusse ab Mai", "Mit Panoramadach.\n"),
        ("casino", "Lucky Casino <win@casino.example>", "You have won!", "Click here.\n"),
    )
)

#: The messages that the rules send on, by the account through which they go: to the duty manager, and to who looks after bookings.
FORWARDED = {OUT: "hotel-confirmation", SALES: "upgrade-4712"}
#: The message that is answered from the desk, with what, and what comes back: nobody's known address, and no number.
ANSWERED = "rome-rooms"
REPLY = "Guten Tag Frau Berger,\n\ndie beiden Zimmer sind gebucht.\n\nIhr Team von Acme Tours\n"
ANSWER = Arriving(
    name="thanks",
    sender="Vertretung Berger <team3@nordreisen.example>",
    subject="Vielen Dank!",
    text="Wunderbar, danke für die schnelle Antwort!\n\nNord Reisen\n",
    # It answers what acme wrote: though both read the mailbox, globetrot does not see it.
    links={"acme": _of("person P1", "customer C1", "reservation R4711")},
)
