"""Run gatewayd by its command line, as a user would, and compare the filings with the expected ones."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from gatewayd import TransientError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from gatewayd_demo.mails import Arriving

__all__ = ["SENDER", "Filing", "Gateway", "OfferedLine", "SentLine", "missing"]

#: The demo's operators.
OPERATORS = ("acme", "globetrot")
#: The operator with an account that sends.
SENDER = "acme"
_TIMEOUT = 300.0
#: More than a demo ever shows.
_MANY = "100000"


class Related(TypedDict):
    """A link or a rival, as ``mail list --json`` says it."""

    kind: str
    id: str
    label: str


#: A line of ``mail list --json``; only what the demo shows. ``from`` is no name that a class could have.
Filing = TypedDict(
    "Filing",
    {
        "id": int,
        "operator": str,
        "account": str,
        "message_id": str,
        "direction": str,
        "received_at": str,
        "from": str,
        "subject": str,
        "links": list[Related],
        "rivals": list[Related],
    },
)


class Receiving(TypedDict):
    """One recipient of a delivery."""

    address: str


class SentLine(TypedDict):
    """A line of ``outbox list --json``; only what the demo shows."""

    id: int
    mail: int
    account: str
    recipients: list[Receiving]
    subject: str
    cause: str
    state: str


#: A line of ``remote --json``; only what the demo shows.
OfferedLine = TypedDict("OfferedLine", {"key": str, "from": str, "from_name": str, "subject": str, "decision": str})


@dataclass(frozen=True)
class Gateway:
    """The gatewayd of a config folder."""

    folder: Path

    def collect(self, accounts: Sequence[str]) -> None:
        """Import the accounts once. Raises TransientError with gatewayd's own words where that failed."""
        self._run("import", *accounts)

    def filings(self) -> list[Filing]:
        """Return what every operator sees, newest first."""
        text = self._run("mail", "list", "--all-operators", "--limit", _MANY, "--json")
        found: list[Filing] = [json.loads(line) for line in text.splitlines()]
        return sorted(found, key=lambda filing: -filing["id"])

    def reply(self, mail_id: int, text: str) -> None:
        """Answer a mail of acme's from the desk."""
        self._run("mail", "reply", str(mail_id), "--operator", SENDER, "--text", "-", text=text)

    def send(self) -> None:
        """Deliver what is due."""
        self._run("outbox", "deliver")

    def sent(self) -> list[SentLine]:
        """Return what acme's outbox holds, oldest first."""
        text = self._run("outbox", "list", "--operator", SENDER, "--limit", _MANY, "--json")
        found: list[SentLine] = [json.loads(line) for line in text.splitlines()]
        return found[::-1]

    def offered(self, account: str) -> list[OfferedLine]:
        """Return what acme may choose from at an account, newest first; its server is asked."""
        text = self._run("remote", account, "--operator", SENDER, "--waiting", "--json")
        return [json.loads(line) for line in text.splitlines()]

    def set_password(self, user: str, password: str) -> None:
        """Give a user the password by which the user logs in to the pages."""
        self._run("user", "password", user, "--stdin", text=password)

    def _run(self, *arguments: str, text: str = "") -> str:
        command = [sys.executable, "-m", "gatewayd", "--config", str(self.folder), *arguments]
        done = subprocess.run(  # noqa: S603  our own command
            command, input=text, capture_output=True, encoding="utf-8", timeout=_TIMEOUT, check=False
        )
        if done.returncode:
            reason = (done.stderr or done.stdout).strip()[-2000:]
            raise TransientError(f"`gatewayd {' '.join(arguments)}` ended with {done.returncode}: {reason}")
        return done.stdout


def missing(filings: Iterable[Filing], delivered: Iterable[tuple[Arriving, int]]) -> list[str]:
    """Return in words every filing that is missing, too much, or not related to what was expected.

    What was sent is no matter of it.
    """
    found: defaultdict[tuple[str, str], list[Filing]] = defaultdict(list)
    for filing in filings:
        if filing["direction"] != "out":
            found[filing["operator"], filing["message_id"]].append(filing)
    wrong = []
    for mail, number in delivered:
        for operator in OPERATORS:
            filed = found.pop((operator, mail.message_id(number)), [])
            wrong += _wrong(mail, operator, filed)
    wrong += [f"{operator} sees {message_id}, which nobody sent" for operator, message_id in found]
    return wrong


def _wrong(mail: Arriving, operator: str, filed: Sequence[Filing]) -> list[str]:
    what = f"{mail.subject!r} for {operator}"
    if len(filed) != (operator in mail.links):
        return [f"{what}: expected {int(operator in mail.links)} filing, found {len(filed)}"]
    if not filed:
        return []
    links, rivals = _pairs(filed[0]["links"]), _pairs(filed[0]["rivals"])
    wanted = {"links": (links, mail.links[operator]), "rivals": (rivals, mail.rivals.get(operator, frozenset()))}
    return [
        f"{what}: expected the {name} {_words(expected)}, found {_words(given)}"
        for name, (given, expected) in wanted.items()
        if given != expected
    ]


def _pairs(related: Iterable[Related]) -> frozenset[tuple[str, str]]:
    return frozenset((one["kind"], one["id"]) for one in related)


def _words(pairs: Iterable[tuple[str, str]]) -> str:
    return ", ".join(" ".join(pair) for pair in sorted(pairs)) or "none"
