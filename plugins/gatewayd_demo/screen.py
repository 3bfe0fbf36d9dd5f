"""Print the demo's tables and texts."""

from __future__ import annotations

import shlex
from collections import Counter
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gatewayd_demo.gateway import Filing, OfferedLine, SentLine

__all__ = ["complaints", "console", "farewell", "offered", "outbox", "rows", "table", "title", "verdict", "welcome"]

_LEAST_ROWS = 5
_WIDTH = 160
#: Lines of the terminal that are not rows of the table, when every row takes two.
_FRAME = 16

_COMMANDS = {
    "mail list --operator acme --user irina": "what acme's Irina sees",
    "mail list --operator globetrot": "the same mailbox, as the other operator sees it",
    "mail show {mail} --operator acme --user irina": "one message, and why it is related to what",
    "explain {mail} --operator acme --user irina": "what each matcher found, which rules fired, and why the others did not",
    "outbox list --operator acme": "what went out, to whom and because of what",
}
#: What asks the servers: only while they run.
_LIVE_COMMANDS = {
    "status": "how the daemon and every account are",
    "audit reservations": "every message of the server is accounted for",
    "remote newsletters --operator acme": "what people may choose from: nothing of it is imported by itself",
    "import newsletters --operator acme --key KEY": "have a message filed that `remote` lists",
    "mail reply {mail} --operator acme --text -": "answer a message (end it with Ctrl-D); the daemon sends it",
}


def console() -> Console:
    """Return where to print; without a terminal nothing says how wide it is, so lines are long."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=_WIDTH)


def table(filings: Sequence[Filing], heading: str) -> Table:
    """Return filings as a table."""
    drawn = Table("time", "operator", "account", "from", "subject", "related to", title=heading, title_justify="left")
    for filing in filings:
        # Of RFC 3339 the time, with its zone.
        time = filing["received_at"][11:]
        cells = [time, filing["operator"], filing["account"], filing["from"], filing["subject"], _related(filing)]
        drawn.add_row(*(escape(word) for word in cells))
    return drawn


def outbox(sent: Sequence[SentLine], heading: str) -> Table:
    """Return deliveries as a table."""
    drawn = Table("delivery", "through", "to", "subject", "because of", "state", title=heading, title_justify="left")
    for one in sent:
        to = ", ".join(recipient["address"] for recipient in one["recipients"])
        cells = [str(one["id"]), one["account"], to, one["subject"], one["cause"], one["state"]]
        drawn.add_row(*(escape(word) for word in cells))
    return drawn


def offered(lines: Sequence[OfferedLine], heading: str) -> Table:
    """Return what people may choose from as a table."""
    drawn = Table("key", "from", "subject", "decision", title=heading, title_justify="left")
    for one in lines:
        drawn.add_row(*(escape(word) for word in (one["key"], one["from_name"] or one["from"], one["subject"], one["decision"])))
    return drawn


def rows(console: Console) -> int:
    """Return how many filings fit on the screen."""
    return max(_LEAST_ROWS, (console.height - _FRAME) // 2)


def title(messages: int, wrong: Sequence[str]) -> str:
    """Return the heading of the table that keeps growing."""
    state = "every filing is as expected" if not wrong else f"[red]{len(wrong)} filings are not as expected[/red]"
    return f"{messages} messages came in; {state}. Ctrl-C ends the demo."


def verdict(console: Console, filings: Sequence[Filing], sent: Sequence[SentLine], wrong: Sequence[str]) -> None:
    """Say whether all was filed, related and sent as expected."""
    if not wrong:
        came = [filing for filing in filings if filing["direction"] == "in"]
        links = sum(len(filing["links"]) for filing in came)
        console.print(f"All {len(came)} filings are there, with the {links} links that were expected.", style="green")
        ways = Counter(one["account"] for one in sent)
        through = ", ".join(f"{number} through {account}" for account, number in ways.items())
        console.print(f"All {len(sent)} deliveries arrived: {through}.", style="green")
    complaints(console, wrong)


def complaints(console: Console, wrong: Sequence[str]) -> None:
    """Say what was not as expected."""
    for complaint in wrong:
        console.print(f"Not as expected: {escape(complaint)}", style="red")


def welcome(console: Console, folder: Path, mail: int, *, address: str, person: str, password: str) -> None:
    """Say what can be tried while the demo runs, with a mail of acme's by its id."""
    console.print(
        f"The pages for people: [bold]{address}[/bold]  user [bold]{person}[/bold]  password [bold]{escape(password)}[/bold]"
    )
    console.print("A message arrives every few seconds. Meanwhile, in another terminal (in a checkout: ./gw for gatewayd):")
    _commands(console, folder, mail, {**_COMMANDS, **_LIVE_COMMANDS})


def farewell(console: Console, kept: Path | None, mail: int) -> None:
    """Say how to go on."""
    if kept is None:
        console.print("The demo's folder is removed. `gatewayd demo --keep FOLDER` keeps its config and mail, to look at.")
    else:
        console.print("The servers are gone, the config and the mail stay. Look at them (in a checkout: ./gw for gatewayd):")
        _commands(console, kept.absolute(), mail, _COMMANDS)
    console.print("README.md says how to set up gatewayd for mailboxes and operators of your own.")


def _commands(console: Console, folder: Path, mail: int, commands: Mapping[str, str]) -> None:
    for cells, purpose in commands.items():
        console.print(f"  # {purpose}", style="dim")
        console.print(f"  gatewayd --config {escape(shlex.quote(str(folder)))} {cells.format(mail=mail)}", soft_wrap=True)


def _related(filing: Filing) -> str:
    cells = [f"{link['kind']} {link['label'] or link['id']}" for link in filing["links"]]
    if filing["rivals"]:
        cells.append("to choose: " + " or ".join(rival["label"] or rival["id"] for rival in filing["rivals"]))
    return "\n".join(cells)
