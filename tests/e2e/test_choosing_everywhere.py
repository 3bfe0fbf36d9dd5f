"""People choose of accounts of all kinds likewise: general, own and shared ones, by IMAP, POP3 and Microsoft Graph, with kills."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.graph import Graph
from tests.e2e.house import House
from tests.e2e.test_choosing import chosen_twice, message
from tests.e2e.test_office365 import account as graph_account

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatewayd.testing.graph import ExchangeMailbox
    from gatewayd.testing.servers import Dovecot

USERS = "users:\n  irina: {name: Irina Mari, email: irina@example.com}\n  tom: {name: Tom, email: tom@example.com}\n"
#: Each account, and whose it is; another user's is shared with Irina.
ACCOUNTS = {
    "general": "operators: [acme]\n",
    "own": "user: acme/irina\n",
    "shared": "user: acme/tom\nshare: [acme/irina]\n",
}
KINDS = ("imap", "pop3", "office365")


@pytest.fixture
def graph() -> Iterator[Graph]:
    with Graph() as server:
        yield server


class Site:
    """The accounts of one kind, each with a mailbox of twenty messages."""

    def __init__(self, folder: Path, kind: str, dovecot: Dovecot, graph: Graph) -> None:
        self.house, self.kind = House(folder), kind
        self._dovecot, self._graph = dovecot, graph
        self.house.operator("acme", more=USERS)
        self._mailboxes: dict[str, ExchangeMailbox] = {}
        self._users: dict[str, str] = {}
        for name, serves in ACCOUNTS.items():
            self._users[name] = user = f"{folder.name}-{kind}-{name}@example.com"
            if kind == "office365":
                self._mailboxes[name] = graph.add_mailbox(user)
                self._in_graph(name, serves)
            else:
                dovecot.user(user, "pass")
                self.house.account(name, kind, dovecot.ports[kind], user, more=serves, imports="  take: chosen\n")
            self.deliver(name, range(1, 21))

    def _in_graph(self, name: str, serves: str) -> None:
        graph_account(self.house, self._graph, self._mailboxes[name], name, imports="  take: chosen\n")
        file = self.house.folder / f"accounts/{name}.yaml"
        file.write_text(file.read_text().replace("operators: [acme]\n", serves))

    def deliver(self, name: str, numbers: range) -> None:
        if self.kind == "office365":
            for number in numbers:
                self._mailboxes[name].deliver(message(number))
        else:
            self._dovecot.deliver(self._users[name], [message(number) for number in numbers])

    def break_(self, name: str) -> None:
        """Let the account's server not be there."""
        file = self.house.folder / f"accounts/{name}.yaml"
        lines = (f"{line.partition(':')[0]}: 1" if line.startswith("port:") else line for line in file.read_text().splitlines())
        text = "\n".join([*lines, ""])
        file.write_text(text.replace(f"graph: {self._graph.base}", "graph: https://localhost:1/v1.0"))

    def state(self, name: str) -> object:
        """What the server says of the account's mailbox. Dovecot's POP3 marks what is fetched as seen."""
        if self.kind == "office365":
            return [(one.mime, one.is_read) for one in self._mailboxes[name].messages()]
        return self._dovecot.snapshot(self._users[name]) if self.kind == "imap" else None


@pytest.fixture(params=KINDS)
def site(request: pytest.FixtureRequest, tmp_path: Path, dovecot: Dovecot, graph: Graph) -> Site:
    return Site(tmp_path, request.param, dovecot, graph)


def test_five_of_twenty_are_chosen_of_each_account_but_the_one_that_is_broken(site: Site) -> None:
    broken = "shared"
    house, whole = site.house, [name for name in ACCOUNTS if name != broken]
    before = {name: site.state(name) for name in ACCOUNTS}
    site.break_(broken)
    # What a program lists is no list that a person chose from.
    assert f"(!) {broken}" in house.run("remote", "--user", "acme/irina").out
    shown = house.run("remote", "--user", "acme/irina", "--json")
    errors = [row["account"] for row in shown.rows if "error" in row]
    assert (shown.code, errors) == (1, [broken]), "it is marked, and the others are listed all the same"
    for name in whole:
        rows = [row for row in shown.rows if row["account"] == name]
        assert len(rows) == 20, name
        flags = [part for row in rows[-5:] for part in ("--key", row["key"])]
        results = house.good("import", name, "--user", "acme/irina", "--json", *flags).rows
        assert [row["result"] for row in results] == ["here"] * 5
    listed = house.good("mail", "list", "--user", "acme/irina", "--json").rows
    assert sorted((row["account"], row["unread"]) for row in listed) == sorted((name, True) for name in whole for _ in range(5))
    assert {name: site.state(name) for name in ACCOUNTS} == before
    for name in whole:
        site.deliver(name, range(21, 22))
    for flag, number in ((None, 1), ("--waiting", 16), ("--from-beginning", 21)):
        rows = house.good("remote", *whole, "--user", "acme/irina", "--json", *([flag] if flag else [])).rows
        assert {name: len([row for row in rows if row["account"] == name]) for name in whole} == dict.fromkeys(whole, number), flag
        assert len([row for row in rows if row["mail"]]) == (10 if flag == "--from-beginning" else 0)


@pytest.mark.parametrize("site", ["pop3", "office365"], indirect=True)
@pytest.mark.parametrize(("event", "number"), [("commit", 2), ("commit", 5), ("execute", 30)])
def test_P2_the_same_choice_by_any_protocol_is_filed_once_though_one_terminal_is_killed(
    site: Site, event: str, number: int
) -> None:
    chosen_twice(site.house, event, number, "general")
