"""What people choose on a real Dovecot, by the command line: five of twenty, and the server never notices."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.e2e.house import ROOT, House, until
from tests.patience import LONG

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot


def message(number: int, sender: str = "anna@example.com") -> bytes:
    return (
        f"Message-ID: <{number}@example.com>\r\nDate: Mon, 05 Jan 2026 10:00:{number:02} +0100\r\nFrom: Anna <{sender}>\r\n"
        f"To: reservations@example.com\r\nSubject: booking {number}\r\n\r\nHello {number}\r\n"
    ).encode()


@pytest.fixture
def site(tmp_path: Path, dovecot: Dovecot) -> tuple[House, str]:
    house = House(tmp_path)
    user = f"{tmp_path.name}@example.com"
    dovecot.user(user, "pass")
    dovecot.deliver(user, [message(number) for number in range(1, 21)])
    house.operator("acme", more="users:\n  irina: {name: Irina Mari, email: irina@example.com}\n")
    house.operator("globetrot")
    house.account("main", "imap", dovecot.ports["imap"], user, more="operators: [acme, globetrot]\n", imports="  take: chosen\n")
    house.account("broken", "imap", 1, user, more="operators: [acme]\nsecond: true\n", imports="  take: chosen\n")
    return house, user


def test_five_of_twenty_are_chosen_and_the_server_never_notices(site: tuple[House, str], dovecot: Dovecot) -> None:
    house, user = site
    before = dovecot.snapshot(user)
    shown = house.run("remote", "--user", "acme/irina")
    assert shown.code == 1, "one account is broken"
    assert "(!) broken" in shown.out, "and the other is listed all the same"
    assert shown.out.count("booking") == 20
    rows = [row for row in house.run("remote", "--user", "acme/irina", "--json").rows if row["account"] == "main"]
    assert [row["subject"] for row in rows] == [f"booking {number}" for number in range(20, 0, -1)], "newest first"
    assert {(row["from"], row["from_name"], row["attachments"], row["decision"]) for row in rows} == {
        ("anna@example.com", "Anna", False, "offered")
    }
    wanted = [row["key"] for row in rows[-5:]]
    results = house.good(
        "import", "main", "--user", "acme/irina", "--json", *(part for key in wanted for part in ("--key", key))
    ).rows
    assert sorted(row["key"] for row in results) == sorted(wanted)
    assert {row["result"] for row in results} == {"here"}
    listed = house.good("mail", "list", "--operator", "acme", "--json").rows
    assert sorted(row["subject"] for row in listed) == [f"booking {number}" for number in range(1, 6)]
    assert all(row["unread"] for row in listed)
    assert house.good("mail", "list", "--operator", "globetrot", "--json").rows == [], (
        "it is filed for the chooser's operator alone"
    )
    assert dovecot.snapshot(user) == before
    dovecot.deliver(user, [message(21)])
    rows = house.good("remote", "main", "--user", "acme/irina", "--json").rows
    assert [row["subject"] for row in rows] == ["booking 21"], "only what is new"
    rows = house.good("remote", "main", "--user", "acme/irina", "--from-beginning", "--json").rows
    assert (len(rows), len([row for row in rows if row["mail"]])) == (21, 5), "all, five of them as here already"
    rows = house.good("remote", "main", "--user", "acme/irina", "--waiting", "--json").rows
    assert len(rows) == 16
    assert "`gatewayd remote main` lists its mail" in house.good("import", "main").err
    rows = house.good("remote", "main", "--operator", "globetrot", "--json").rows
    assert len(rows) == 21, "one operator's download hides nothing from another"


@pytest.mark.parametrize("kind", ["imap", "pop3"])
def test_P1_offers_dismissals_and_choices_outlive_a_renumbering_and_what_was_deleted_says_so(
    tmp_path: Path, dovecot: Dovecot, kind: str
) -> None:
    house, user = House(tmp_path), f"renumbered-{kind}-{tmp_path.name}"
    dovecot.user(user, "pass")
    dovecot.deliver(user, [message(number) for number in range(1, 6)])
    house.operator("acme")
    house.account("main", kind, dovecot.ports[kind], user, imports="  take: chosen\n")

    def listed(*flags: str) -> dict[str, tuple[str, str]]:
        return {row["subject"]: (row["key"], row["decision"]) for row in house.good("remote", *flags, "--json").rows}

    keys = {subject: key for subject, (key, _) in listed("--waiting").items()}
    house.good("import", "main", "--key", keys["booking 1"])
    house.good("dismiss", "main", "--key", keys["booking 2"])
    dovecot.renumber(user)
    with dovecot.client(user) as client:
        client.select("INBOX")
        _, (found,) = client.search(None, "SUBJECT", '"booking 3"')
        client.store(found.decode(), "+FLAGS", r"\Deleted")
        client.expunge()
    dovecot.deliver(user, [message(6)])
    house.good("remote", "--recheck")
    decided = {subject: decision for subject, (_, decision) in listed("--from-beginning").items()}
    expected = {"1": "filed", "2": "dismissed", "4": "offered", "5": "offered", "6": "offered"}
    assert decided == {f"booking {number}": decision for number, decision in expected.items()}
    now = listed("--waiting")
    assert set(now) == {"booking 4", "booking 5", "booking 6"}
    with dovecot.client(user) as client:
        client.select("INBOX")
        _, (found,) = client.search(None, "SUBJECT", '"booking 4"')
        client.store(found.decode(), "+FLAGS", r"\Deleted")
        client.expunge()
    done = house.run("import", "main", "--json", "--key", now["booking 4"][0], "--key", now["booking 5"][0])
    assert done.code == 1
    results = {row["key"]: (row["result"], bool(row["cause"])) for row in done.rows}
    assert results == {now["booking 4"][0]: ("gone", True), now["booking 5"][0]: ("here", False)}
    assert set(listed("--waiting")) == {"booking 6"}
    dovecot.deliver(user, [message(7)])
    house.good("remote")
    with dovecot.client(user) as client:
        client.select("INBOX")
        client.store("1:*", "+FLAGS", r"\Deleted")
        client.expunge()
    assert set(listed("--waiting", "--recheck")) == set(), "a whole listing finds that they are gone"


@pytest.mark.parametrize("kind", ["imap", "pop3"])
def test_what_could_not_be_had_stays_offered_with_its_cause(tmp_path: Path, dovecot: Dovecot, kind: str) -> None:
    house, user = House(tmp_path), f"large-{kind}-{tmp_path.name}"
    dovecot.user(user, "pass")
    dovecot.deliver(user, [message(1) + b"x" * (2 << 20) + b"\r\n", message(2)])
    house.operator("acme")
    house.account("main", kind, dovecot.ports[kind], user, imports="  take: chosen\n")
    settings = house.folder / "gatewayd.yaml"
    before = settings.read_text()
    settings.write_text(before + "limits: {message_bytes: 1048576}\n")
    keys = {row["subject"]: row["key"] for row in house.good("remote", "--json").rows}
    flags = [part for key in keys.values() for part in ("--key", key)]
    done = house.run("import", "main", "--json", *flags)
    results = {row["key"]: row["result"] for row in done.rows}
    assert (done.code, results) == (1, {keys["booking 1"]: "offered", keys["booking 2"]: "here"})
    (left,) = house.good("remote", "--waiting", "--json").rows
    assert (left["key"], left["decision"]) == (keys["booking 1"], "offered")
    assert "limits.message_bytes" in left["cause"]
    settings.write_text(before)
    house.good("import", "main", "--key", keys["booking 1"])
    assert house.good("remote", "--waiting", "--json").rows == []


@contextmanager
def meeting(count: int) -> Iterator[tuple[int, list[bool]]]:
    """A server that says nothing before ``count`` clients are there at once: yield its port, and for each client whether they were."""
    barrier, met = threading.Barrier(count), list[bool]()

    def answer(client: socket.socket) -> None:
        with client:
            try:
                barrier.wait(LONG)
                met.append(True)
            except threading.BrokenBarrierError:
                met.append(False)

    def serve(listener: socket.socket) -> None:
        for _ in range(count):
            client, _address = listener.accept()
            threads.append(threading.Thread(target=answer, args=(client,)))
            threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threads = [threading.Thread(target=serve, args=(listener,))]
        threads[0].start()
        try:
            yield listener.getsockname()[1], met
        finally:
            barrier.abort()
            for _ in range(count):
                # Whoever still waits for a client is let go.
                with suppress(OSError):
                    socket.create_connection(listener.getsockname(), timeout=1).close()
            for thread in threads:
                thread.join(LONG)


def test_P4_accounts_are_asked_at_once_and_listed_in_their_order(site: tuple[House, str]) -> None:
    house, user = site
    with meeting(3) as (port, met):
        for name in ("alpha", "beta", "zulu"):
            more = "operators: [acme]\nsecond: true\n"
            house.account(name, "imap", port, user, more=more, imports="  take: chosen\n")
        shown = house.run("remote", "--operator", "acme")
    assert met == [True] * 3, "none waits for another"
    told = [line for line in shown.out.splitlines() if line.startswith("(!)") or "booking 20" in line]
    assert [line.split()[1] if line.startswith("(!)") else line.split()[0] for line in told] == [
        "alpha:",
        "beta:",
        "broken:",
        "main",
        "zulu:",
    ]
    assert shown.out.count("booking") == 20


@pytest.mark.parametrize(("event", "number"), [("commit", 2), ("commit", 4), ("commit", 5), ("execute", 30)])
def test_P2_the_same_choice_from_two_terminals_is_filed_once_though_one_is_killed(
    site: tuple[House, str], event: str, number: int
) -> None:
    chosen_twice(site[0], event, number)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(60))
def test_P2_the_same_choice_is_filed_once_whichever_event_of_the_database_kills_one(site: tuple[House, str], seed: int) -> None:
    event = ("begin", "commit", "execute")[seed % 3]
    chosen_twice(site[0], event, random.Random(seed).randint(1, 60 if event == "execute" else 14))


def chosen_twice(house: House, event: str, number: int, account: str = "main") -> None:
    """Choose the same from two terminals at once, of which one is killed at the n-th event of its database."""
    wanted = [row["key"] for row in house.good("remote", account, "--operator", "acme", "--json").rows][:3]
    chosen = ["import", account, "--operator", "acme", "--json", *(part for key in wanted for part in ("--key", key))]
    program = [sys.executable, str(ROOT / "tests/e2e/killed.py"), event, str(number), "--config", str(house.folder), *chosen]
    with subprocess.Popen(
        program, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as one:
        other = house.run(*chosen)
        one.communicate(timeout=600)
    assert one.returncode in {0, -signal.SIGKILL}
    assert (other.code, {row["result"] for row in other.rows}) == (0, {"here"}), other.err
    assert set(house.filed(account).values()) == {1}
    assert len(house.filed(account)) == len(wanted)
    assert house.good("import", *chosen[1:]).rows == other.rows, "choosing it once more changes nothing"
    assert len(house.good("remote", account, "--operator", "acme", "--waiting", "--json").rows) == 17
    assert len(house.good("mail", "list", "--operator", "acme", "--json").rows) == len(wanted)


def test_a_daemon_downloads_what_is_chosen_and_says_what_became_of_it(site: tuple[House, str], dovecot: Dovecot) -> None:
    house, user = site
    (house.folder / "accounts/broken.yaml").unlink()
    with house.daemon():
        rows = until("it is listed", 30, lambda: house.good("remote", "--operator", "acme", "--json").rows)
        assert len(rows) == 20
        with dovecot.client(user) as imap:
            imap.select("INBOX")
            imap.store("1", "+FLAGS", "(\\Deleted)")
            imap.expunge()
        oldest = rows[-1]["key"]
        done = house.run("import", "main", "--operator", "acme", "--json", "--key", oldest, "--key", rows[0]["key"])
        results = {row["key"]: row["result"] for row in done.rows}
        assert (done.code, results) == (1, {oldest: "gone", rows[0]["key"]: "here"})
        later = house.run("import", "main", "--operator", "globetrot", "--json", "--key", oldest)
        assert (later.code, later.rows[0]["result"], later.rows[0]["cause"]) == (
            1,
            "gone",
            "gone from the server before it was fetched",
        )
        house.good("import", "main", "--operator", "globetrot", "--offered")
        assert len(house.good("mail", "list", "--operator", "globetrot", "--json").rows) == 19
        house.good("dismiss", "main", "--operator", "acme", "--key", rows[1]["key"])
        assert len(house.good("remote", "--operator", "acme", "--waiting", "--json").rows) == 17
        with dovecot.client(user) as imap:
            imap.select("INBOX")
            imap.store("1:18", "+FLAGS", "(\\Deleted)")
            imap.expunge()
        left = house.good("remote", "--operator", "acme", "--waiting", "--recheck", "--json").rows
        assert len(left) < 3, "the daemon lists the mailbox whole again"
        said = house.run("import", "main", "--operator", "acme", "--key", "1:99")
        assert (said.code, "not offered to acme: 1:99" in said.err) == (1, True)


def test_pop3_and_personal_accounts_are_chosen_from_likewise(tmp_path: Path, dovecot: Dovecot) -> None:
    house, user = House(tmp_path), f"{tmp_path.name}@example.com"
    dovecot.user(user, "pass")
    dovecot.deliver(user, [message(number) for number in range(1, 4)])
    house.operator("acme", more="users:\n  irina: {name: Irina Mari, email: irina@example.com}\n")
    house.account("own", "pop3", dovecot.ports["pop3"], user, more="user: acme/irina\n", imports="  take: chosen\n")
    assert house.good("remote", "--operator", "acme", "--json").rows == [], "the operator alone sees no personal mail"
    rows = house.good("remote", "--user", "acme/irina", "--json").rows
    assert [row["subject"] for row in rows] == ["booking 3", "booking 2", "booking 1"]
    refused = house.run("import", "own", "--operator", "acme", "--key", rows[0]["key"])
    assert (refused.code, "acme has no mail of account own" in refused.err) == (1, True)
    house.good("import", "own", "--user", "acme/irina", "--key", rows[0]["key"])
    assert [row["subject"] for row in house.good("mail", "list", "--operator", "acme", "--user", "irina", "--json").rows] == [
        "booking 3"
    ]
    assert house.good("mail", "list", "--operator", "acme", "--json").rows == []


def test_an_account_that_takes_all_lists_what_was_filed_since_as_here_already(tmp_path: Path, dovecot: Dovecot) -> None:
    house, user = House(tmp_path), f"{tmp_path.name}@example.com"
    dovecot.user(user, "pass")
    dovecot.deliver(user, [message(1), message(2)], arrival=datetime(2026, 1, 5, tzinfo=UTC))
    house.operator("acme")
    house.account("main", "imap", dovecot.ports["imap"], user, imports="  start: 2026-02-01\n")
    house.good("import", "main")
    assert len(house.good("remote", "main").out.splitlines()) == 3, "two rows below their columns"
    dovecot.deliver(user, [message(3)], arrival=datetime(2026, 3, 1, tzinfo=UTC))
    house.good("import", "main")
    rows = house.good("remote", "main", "--json").rows
    assert [(row["subject"], row["decision"], bool(row["mail"])) for row in rows] == [
        ("booking 3", "filed", True),
        ("booking 2", "offered", False),
        ("booking 1", "offered", False),
    ]
    house.good("import", "main", "--operator", "acme", "--key", rows[1]["key"])
    rows = house.good("remote", "main", "--json").rows
    assert [row["subject"] for row in rows] == ["booking 3"], "the mark is at the newest that was listed before"
    assert [row["subject"] for row in house.good("remote", "main", "--waiting", "--json").rows] == ["booking 1"]
    assert [row["subject"] for row in house.good("remote", "main", "--from-beginning", "--search", "KING 2", "--json").rows] == [
        "booking 2"
    ]
    since = house.good("remote", "main", "--from-beginning", "--since", "2026-02-01", "--json").rows
    assert [row["subject"] for row in since] == ["booking 3"]
