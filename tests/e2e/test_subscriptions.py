"""What a colleague sees and downloads, on real servers: of general accounts, the own, and another's that is shared."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.graph import Graph
from gatewayd.testing.servers import Dovecot
from tests.e2e.house import ROOT, House, until
from tests.e2e.test_choosing import message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


TOM = ("--user", "acme/tom")
USERS = "users:\n" + "".join(f"  {name}: {{name: {name}, email: {name}@acme.example}}\n" for name in ("irina", "tom", "ann"))


@dataclass
class Site:
    """A house with three accounts, and the mailbox of the one that is shared."""

    house: House
    deliver: Callable[[bytes], object]
    #: What the server tells of its messages: flags, UIDs, modseq.
    state: Callable[[], object]

    def rows(self, *words: str, code: int = 0) -> list[dict[str, object]]:
        """What ``remote`` lists of the shared account."""
        done = self.house.run("remote", *words, "--json")
        assert done.code == code, done.err
        return [row for row in done.rows if row["account"] == "irina" and "key" in row]


def _delivered(dovecot: Dovecot, user: str, raw: bytes) -> None:
    """Deliver a message that another client has seen arrive: the first one to open the mailbox takes its flag \\Recent away."""
    dovecot.deliver(user, [raw])
    with dovecot.client(user) as imap:
        imap.select("INBOX")


def _choices(keys: list[object]) -> list[str]:
    return [str(part) for key in keys for part in ("--key", key)]


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    """One that POP3 does not have mark what it reads: see docs/operations.md."""
    with Dovecot(pop3_no_flag_updates="yes") as server:
        yield server


@pytest.fixture
def graph() -> Iterator[Graph]:
    with Graph() as server:
        yield server


def _site(folder: Path, dovecot: Dovecot, kind: str, graph: Graph | None = None) -> Site:
    """The general account has two messages, the shared one twenty; the own one is at a server that is not there."""
    house, prefix = House(folder), folder.name.lower()
    house.operator("acme", more=USERS)
    house.operator("silent", more=f"receive: false\n{USERS}")
    chosen = "  take: chosen\n"
    desk, irina = (f"{prefix}-{name}@example.com" for name in ("desk", "irina"))
    for user in (desk, irina):
        dovecot.user(user, "pass")
    dovecot.deliver(desk, [message(number) for number in (101, 102)])
    protocol = kind if kind != "office365" else "imap"
    house.account("desk", protocol, dovecot.ports[protocol], desk, more="operators: all\n", imports=chosen)
    house.account("tom", protocol, 1, "tom@example.com", more="user: acme/tom\n", imports=chosen)
    if graph:
        mailbox = graph.add_mailbox("irina@acme.example")
        secret = house.write("app-secret", graph.app.secret)
        house.write(
            "accounts/irina.yaml",
            f"kind: office365\nuser: acme/irina\nmailbox: {mailbox.id}\ntenant: {graph.app.tenant}\nclient: {graph.app.client}\n"
            f"secret: !file {secret}\nauthority: {graph.authority}\ngraph: {graph.base}\nca_file: {graph.ca_file}\n"
            f"timeout: 20s\nimport:\n  folders: [INBOX]\n{chosen}",
        )
        site = Site(
            house,
            mailbox.deliver,
            lambda: [(one.immutable_id, one.item_id, one.is_read, one.version) for one in mailbox.messages()],
        )
    else:
        house.account("irina", kind, dovecot.ports[kind], irina, more="user: acme/irina\n", imports=chosen)
        site = Site(house, lambda raw: _delivered(dovecot, irina, raw), lambda: dovecot.snapshot(irina))
    for number in range(1, 21):
        site.deliver(message(number))
    return site


@pytest.fixture(params=["imap", "pop3", "office365"])
def site(request: pytest.FixtureRequest, tmp_path: Path, dovecot: Dovecot) -> Site:
    kind: str = request.param
    return _site(tmp_path, dovecot, kind, request.getfixturevalue("graph") if kind == "office365" else None)


def test_five_of_twenty_of_a_shared_account_are_downloaded_and_the_server_never_notices(site: Site) -> None:
    house, before = site.house, site.state()
    assert site.rows(*TOM, code=1) == [], "it is not shared yet"
    house.good("subscriptions", "ask", "irina", *TOM)
    house.good("subscriptions", "agree", "irina", "tom", "--user", "acme/irina")
    shown = house.run("remote", *TOM)
    assert (shown.code, "(!) tom" in shown.out, "(!) irina" in shown.out, "(!) desk" in shown.out) == (1, True, False, False)
    assert shown.out.count("booking") == 22, "two accounts are listed, though the third is broken"
    rows = site.rows(*TOM, code=1)
    assert [row["subject"] for row in rows] == [f"booking {number}" for number in range(20, 0, -1)]
    keys = [row["key"] for row in rows[3:8]]
    assert {row["result"] for row in house.good("import", "irina", *TOM, "--json", *_choices(keys)).rows} == {"here"}
    listed = house.good("mail", "list", *TOM, "--json").rows
    assert (sorted(row["key"] for row in listed), {row["unread"] for row in listed}) == (sorted(map(str, keys)), {True})
    assert len(site.rows("irina", *TOM, "--waiting")) == 15
    assert site.state() == before, "flags, UIDs and modseq"
    site.deliver(message(21))
    before = site.state()
    assert [row["subject"] for row in site.rows("irina", *TOM)] == ["booking 21"], "only what is new"
    everything = site.rows("irina", *TOM, "--from-beginning")
    assert (len(everything), len([row for row in everything if row["mail"]])) == (21, 5)
    assert len(site.rows("irina", "--user", "acme/irina")) == 21, "one colleague's download hides nothing from another"
    assert house.run("remote", "irina", "--user", "acme/ann").code == 1
    assert house.run("remote", "desk", "--operator", "silent").code == 1, "it receives nothing by accounts of all"
    assert site.state() == before
    house.good("subscriptions", "end", "irina", "tom", "--user", "acme/irina")
    assert (house.run("remote", "irina", *TOM).code, house.good("mail", "list", *TOM, "--json").rows) == (1, [])
    assert len(house.good("mail", "list", "--user", "acme/irina", "--json").rows) == 5, "they are its user's"


@pytest.mark.parametrize(("event", "number"), [("commit", 3), ("execute", 40)])
def test_P2_both_choose_the_same_at_once_and_it_is_filed_once_though_one_is_killed(
    tmp_path: Path, dovecot: Dovecot, event: str, number: int
) -> None:
    site = _site(tmp_path, dovecot, "imap")
    house = site.house
    house.good("subscriptions", "agree", "irina", "tom", "--user", "acme/irina")
    keys = [row["key"] for row in site.rows("irina", *TOM)][:5]
    chosen = ["import", "irina", "--json", *_choices(keys), "--user"]
    program = [sys.executable, str(ROOT / "tests/e2e/killed.py"), event, str(number), "--config", str(house.folder)]
    with subprocess.Popen(
        [*program, *chosen, "acme/tom"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as one:
        other = house.run(*chosen, "acme/irina")
        one.communicate(timeout=600)
    assert one.returncode in {0, -signal.SIGKILL}
    assert (other.code, {row["result"] for row in other.rows}) == (0, {"here"}), other.err
    assert (len(house.filed("irina")), set(house.filed("irina").values())) == (5, {1})
    for user in ("tom", "irina"):
        assert len(house.good("mail", "list", "--user", f"acme/{user}", "--account", "irina", "--json").rows) == 5
        assert len(site.rows("irina", "--user", f"acme/{user}", "--waiting")) == 15


def test_P6_who_leaves_the_config_of_a_daemon_comes_back_with_nothing(tmp_path: Path, dovecot: Dovecot) -> None:
    site = _site(tmp_path, dovecot, "imap")
    house = site.house
    house.good("subscriptions", "agree", "irina", "tom", "--user", "acme/irina")
    assert len(site.rows("irina", *TOM)) == 20
    house.good("import", "irina", "--user", "acme/irina", "--offered")
    with house.daemon() as daemon:
        assert len(house.good("mail", "list", *TOM, "--json").rows) == 20
        house.operator("acme", more=USERS + "  broken\n")
        until("the file is refused", 60, lambda: "config fault" in daemon.log)
        assert len(house.good("mail", "list", *TOM, "--json").rows) == 20, "a broken file lets nobody leave"
        house.operator("acme", more="users:\n" + "".join(USERS.splitlines(keepends=True)[2:]))
        until("she has left", 60, lambda: "user left" in daemon.log)
        assert house.good("mail", "list", *TOM, "--json").rows == []
        house.operator("acme", more=USERS)
        until("she is back", 60, lambda: house.run("subscriptions", "agree", "irina", "tom", "--user", "acme/irina").code == 0)
        assert house.good("mail", "list", "--user", "acme/irina", "--json").rows == []
        assert house.good("mail", "list", *TOM, "--json").rows == []
        withheld = {"type": "withheld", "operator": "acme", "user": "irina"}
        assert withheld in house.run("status", "--json").rows
        assert "`gatewayd user give-mail acme/irina`" in house.run("status").out
        house.good("user", "give-mail", "acme/irina")
        assert len(house.good("mail", "list", "--user", "acme/irina", "--json").rows) == 20
        assert withheld not in house.run("status", "--json").rows
