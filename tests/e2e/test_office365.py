"""An account of kind ``office365`` as its user runs it, against the stand-in: imported once, whatever happens in between."""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import re
import signal
import subprocess
import sys
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

from gatewayd.testing.graph import Graph
from gatewayd.testing.messages import booking_messages
from gatewayd.testing.servers.proxy import free_ports
from tests.e2e.house import ROOT, House, until
from tests.plugins.graph_site import sent_too_early

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatewayd.testing.graph import ExchangeMailbox


@pytest.fixture
def graph() -> Iterator[Graph]:
    with Graph() as server:
        yield server


def account(house: House, graph: Graph, mailbox: ExchangeMailbox, name: str = "main", imports: str = "") -> None:
    """Write an account with the app of the stand-in."""
    secret = house.write("app-secret", graph.app.secret)
    house.write(
        f"accounts/{name}.yaml",
        f"kind: office365\noperators: [acme]\nmailbox: {mailbox.id}\ntenant: {graph.app.tenant}\nclient: {graph.app.client}\n"
        f"secret: !file {secret}\nauthority: {graph.authority}\ngraph: {graph.base}\nca_file: {graph.ca_file}\ntimeout: 20s\n"
        f"import:\n  folders: [INBOX]\n{imports}",
    )


def house_for(folder: Path, graph: Graph, messages: int, imports: str = "") -> tuple[House, ExchangeMailbox, list[str]]:
    """Return a house, a mailbox with messages, and their digests."""
    mailbox = graph.add_mailbox("sales@acme.example")
    for raw in booking_messages(messages, seed=1):
        mailbox.deliver(raw)
    house = House(folder)
    house.operator("acme", reservations="id,code,title\nR1,B-756,Rome\n")
    account(house, graph, mailbox, imports=imports)
    return house, mailbox, sorted(hashlib.sha256(one.mime).hexdigest() for one in mailbox.messages())


def test_1000_messages_are_imported_once(graph: Graph, tmp_path: Path) -> None:
    imported_once(graph, tmp_path, 1_000)


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_10000_messages_are_imported_once(graph: Graph, tmp_path: Path) -> None:
    imported_once(graph, tmp_path, 10_000)


def imported_once(graph: Graph, tmp_path: Path, messages: int) -> None:
    house, mailbox, sent = house_for(tmp_path, graph, messages)
    (first,) = house.good("import", "main", "--json").rows
    assert (first["error"], first["problems"]) == (None, [])
    assert house.stored_digests() == sent
    asked = len(graph.log.requests)
    (second,) = house.good("import", "main", "--json").rows
    assert (second["filed"], second["error"]) == (0, None)
    # Without a token it is one more.
    assert len(graph.log.requests) == asked + 2
    assert mailbox.initial_deltas == 1
    assert len(graph.log.find("$value")) == messages
    (folder,) = house.good("audit", "main", "--json").rows
    assert folder["states"] == {"filed": messages}
    assert folder["proven"]


def test_mail_of_exchange_is_chosen_from(graph: Graph, tmp_path: Path) -> None:
    house, mailbox, _ = house_for(tmp_path, graph, 20, imports="  take: chosen\n")
    rows = house.good("remote", "--json").rows
    assert (len(rows), len({row["key"] for row in rows})) == (20, 20)
    assert all(row["from"] and row["sent_at"] for row in rows)
    assert graph.log.find("$value") == [], "Graph gives by $select what a person chooses by"
    unread = [one.is_read for one in mailbox.messages()]
    wanted = [row["key"] for row in rows[:5]]
    house.good("import", "main", *(part for key in wanted for part in ("--key", key)))
    assert len(house.good("mail", "list", "--json").rows) == 5
    assert [one.is_read for one in mailbox.messages()] == unread
    assert house.good("remote", "--json").rows == []
    assert len(house.good("remote", "--waiting", "--json").rows) == 15
    assert len(house.good("remote", "--from-beginning", "--json").rows) == 20
    (folder,) = house.good("audit", "main", "--json").rows
    assert (folder["states"], folder["proven"]) == ({"filed": 5, "offered": 15}, True)


def test_P1_offers_and_decisions_outlive_dropped_sync_states_and_what_was_deleted_says_so(graph: Graph, tmp_path: Path) -> None:
    house, mailbox, _ = house_for(tmp_path, graph, 6, imports="  take: chosen\n")
    first, second, third, fourth, *left = [row["key"] for row in house.good("remote", "--json").rows]
    house.good("import", "main", "--key", first)
    house.good("dismiss", "main", "--key", second)
    by_key = {one.immutable_id: one for one in mailbox.messages()}
    mailbox.delete(by_key[third])
    graph.drop_sync_states()
    house.good("remote", "--recheck")
    rows = house.good("remote", "--from-beginning", "--json").rows
    expected = {first: "filed", second: "dismissed", **dict.fromkeys((fourth, *left), "offered")}
    assert {row["key"]: row["decision"] for row in rows} == expected
    mailbox.delete(by_key[fourth])
    done = house.run("import", "main", "--json", "--key", fourth, "--key", left[0])
    assert (done.code, {row["key"]: row["result"] for row in done.rows}) == (1, {fourth: "gone", left[0]: "here"})
    assert [row["key"] for row in house.good("remote", "--waiting", "--json").rows] == left[1:]
    assert len(house.good("mail", "list", "--json").rows) == 2


def test_the_same_message_id_twice_is_two_messages(graph: Graph, tmp_path: Path) -> None:
    house, mailbox, _ = house_for(tmp_path, graph, 0)
    head = "Received: by x\r\nMessage-ID: <1@example.com>\r\nDate: Mon, 5 Jan 2026 10:00:00 +0100\r\nSubject: B-756\r\n\r\n"
    for text in (b"one\r\n", b"two \xff\xfe\xe4\r\n"):
        mailbox.deliver(head.encode() + text)
    house.good("import", "main")
    assert house.stored_digests() == sorted(hashlib.sha256(one.mime).hexdigest() for one in mailbox.messages())
    assert len(house.good("mail", "list", "--json").rows) == 2


def test_a_mailbox_by_its_address_is_known_as_the_one_that_another_account_names_by_its_id(graph: Graph, tmp_path: Path) -> None:
    house, mailbox, _ = house_for(tmp_path, graph, 2)
    house.good("import", "main")
    text = (house.folder / "accounts/main.yaml").read_text()
    assert mailbox.id in text
    house.write("accounts/other.yaml", text.replace(mailbox.id, mailbox.address))
    for command in (("import", "other"), ("check", "--online")):
        done = house.run(*command)
        assert done.code in {1, 78}
        assert "under another name" in done.out + done.err
    assert len(house.good("mail", "list", "--json").rows) == 2
    house.write("accounts/other.yaml", "second: true\n" + text.replace(mailbox.id, mailbox.address))
    (report,) = house.good("import", "other", "--json").rows
    assert report["error"] is None
    assert len(house.good("mail", "list", "--json").rows) == 4


def test_no_audit_and_no_comparison_leaves_a_sync_state_in_the_mailbox(graph: Graph, tmp_path: Path) -> None:
    house, mailbox, _ = house_for(tmp_path, graph, 3)
    house.good("import", "main")
    mailbox.deliver(next(booking_messages(1, seed=78)))
    for command in (("import", "main", "--from-beginning"), ("audit", "main"), ("audit", "main")):
        house.good(*command)
    assert len(house.good("mail", "list", "--json").rows) == 4
    assert mailbox.initial_deltas == 1


@pytest.mark.parametrize("wait", [1, None])
def test_with_429_for_every_third_request_all_is_imported_and_none_comes_too_early(
    graph: Graph, tmp_path: Path, wait: int | None
) -> None:
    house, _, sent = house_for(tmp_path, graph, 12)
    graph.throttling.every, graph.throttling.retry_after = 3, wait
    (report,) = house.good("import", "main", "--json").rows
    assert report["error"] is None
    assert house.stored_digests() == sent
    assert graph.log.find("", status=429)
    assert sent_too_early(graph) == []


def test_all_sync_states_dropped_costs_neither_a_message_nor_a_double(graph: Graph, tmp_path: Path) -> None:
    house, mailbox, _ = house_for(tmp_path, graph, 40)
    house.good("import", "main")
    graph.drop_sync_states()
    # Exchange makes the bytes anew: whoever fetches a message twice files it twice.
    graph.knobs.mime = "anew each time"
    mailbox.deliver(next(booking_messages(1, seed=77)))
    graph.log.clear()
    (report,) = house.good("import", "main", "--json").rows
    assert report["filed"] == 1
    # The new one, and perhaps its headers before: of the others nothing.
    (new,) = {one.path for one in graph.log.find("$value")}
    assert mailbox.messages()[-1].immutable_id in unquote(new)
    assert len(house.good("mail", "list", "--limit", "100", "--json").rows) == 41
    (folder,) = house.good("audit", "main", "--json").rows
    assert folder["states"] == {"filed": 41}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [("secret", "the client secret is wrong"), ("roles", "may not do this in the mailbox"), ("licence", "no mailbox in Exchange")],
)
def test_P9_what_is_wrong_is_told_by_import_and_check_without_the_secret(
    graph: Graph, tmp_path: Path, wrong: str, words: str
) -> None:
    house, mailbox, _ = house_for(tmp_path, graph, 1)
    if wrong == "secret":
        house.write("app-secret", "not-this-one")
    elif wrong == "roles":
        graph.app.roles = set()
    else:
        mailbox.is_licensed = False
    done = house.run("import", "main")
    checked = house.run("check", "--online")
    for told in (done, checked):
        assert told.code == 1
        assert words in told.out + told.err
        assert "not-this-one" not in told.out + told.err
        assert graph.app.secret not in told.out + told.err
    # No hot loop.
    assert len(graph.log.requests) < 10


@pytest.mark.parametrize("after", ["seen", "{move: Imported}", "delete"])
def test_P3_what_the_account_wants_is_done_once_and_imports_nothing_again(graph: Graph, tmp_path: Path, after: str) -> None:
    house, mailbox, _ = house_for(tmp_path, graph, 5, imports=f"  after: {after}\n")
    mailbox.folder("Imported")
    house.good("import", "main")
    (report,) = house.good("import", "main", "--json").rows
    assert (report["filed"], report["settled"]) == (0, 0)
    left = mailbox.messages()
    assert [one.is_read for one in left] == ([True] * 5 if after == "seen" else [])
    assert len(mailbox.messages("Imported")) == (5 if "move" in after else 0)
    assert len(house.good("mail", "list", "--json").rows) == 5


def test_accounts_share_the_credential_of_gatewayd_yaml(graph: Graph, tmp_path: Path) -> None:
    house, _, _ = house_for(tmp_path, graph, 0)
    (house.folder / "accounts/main.yaml").unlink()
    fields = f"tenant: {graph.app.tenant}, client: {graph.app.client}, secret: !file app-secret"
    house.write(
        "gatewayd.yaml",
        f"state: {house.state}\ncredentials:\n"
        f"  acme365: {{kind: office365, {fields}, authority: {graph.authority}, ca_file: {graph.ca_file}}}\n",
    )
    for name in ("one", "two"):
        mailbox = graph.add_mailbox(f"{name}@acme.example")
        mailbox.deliver(next(booking_messages(1, seed=ord(name[0]))))
        house.write(
            f"accounts/{name}.yaml",
            f"kind: office365\noperators: [acme]\nmailbox: {mailbox.address}\ncredential: acme365\ngraph: {graph.base}\n"
            f"ca_file: {graph.ca_file}\nimport: {{folders: [INBOX]}}\n",
        )
    house.good("check", "--online")
    graph.log.clear()
    house.good("import", "one", "two")
    assert len(house.good("mail", "list", "--json").rows) == 2
    assert len(graph.log.token_requests) == 1


KILLS, ALL_KILLS = 4, 30
MESSAGES = 40
SEED = 20260106


def killed_import(house: House, graph: Graph, event: str, number: int) -> bool:
    """Run an import that is killed at the n-th request, or at the n-th event of the database; whether it was."""
    request, number = (number, 0) if event == "request" else (0, number)
    command = [
        sys.executable,
        str(ROOT / "tests/e2e/killed.py"),
        event,
        str(number),
        "--config",
        str(house.folder),
        "import",
        "main",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        count = itertools.count(1)
        graph.on_request = lambda _: process.kill() if next(count) == request else None
        process.wait(timeout=120)
    graph.on_request = lambda _: None
    return process.returncode == -signal.SIGKILL


def killed_often(folder: Path, graph: Graph, kills: int) -> None:
    rng = random.Random(SEED)
    done: list[str] = []
    # A message that is fetched twice has other bytes each time, and only its id says that it is the same.
    graph.knobs.mime = "anew each time"
    for number in range(kills * 3):
        if len(done) == kills:
            break
        mailbox = graph.add_mailbox(f"killed{number}@acme.example")
        for raw in booking_messages(MESSAGES, seed=number):
            mailbox.deliver(raw)
        mailbox.folder("Imported")
        house = House(folder / str(number))
        house.operator("acme")
        account(house, graph, mailbox, imports="  after: {move: Imported}\n")
        event, at = rng.choice(("request", "begin", "commit", "execute")), rng.randint(1, 110)
        if not killed_import(house, graph, event, at):
            continue
        done.append(f"{event} {at}")
        if number % 2:
            graph.drop_sync_states()
        (report,) = house.good("import", "main", "--json").rows
        assert report["error"] is None, done
        rows = house.good("mail", "list", "--limit", "1000", "--json").rows
        assert len(rows) == len({row["message_id"] for row in rows}) == MESSAGES, done
        assert (len(mailbox.messages()), len(mailbox.messages("Imported"))) == (0, MESSAGES), done
    print(f"seed {SEED}: {len(done)} kills at: {', '.join(done)}")
    assert len(done) == kills


@pytest.mark.timeout(900)
def test_P1_P2_killed_between_page_and_value_and_commit_and_cursor_nothing_is_lost_or_doubled(graph: Graph, tmp_path: Path) -> None:
    killed_often(tmp_path, graph, KILLS)


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_P1_P2_killed_thirty_times_nothing_is_lost_or_doubled(graph: Graph, tmp_path: Path) -> None:
    killed_often(tmp_path, graph, ALL_KILLS)


def test_a_message_that_a_person_moves_into_another_imported_folder_is_filed_once(graph: Graph, tmp_path: Path) -> None:
    house, mailbox, _ = house_for(tmp_path, graph, 3)
    mailbox.folder("inbox/Bookings")
    path = house.folder / "accounts/main.yaml"
    path.write_text(path.read_text().replace("folders: [INBOX]", "folders: [INBOX, Inbox/Bookings]"))
    # Exchange makes the bytes anew: only the id says that it is the same message.
    graph.knobs.mime = "anew each time"
    house.good("import", "main")
    mailbox.move(mailbox.messages()[0], "inbox/Bookings")
    graph.log.clear()
    (report,) = house.good("import", "main", "--json").rows
    assert (report["filed"], report["error"]) == (0, None)
    assert graph.log.find("$value") == []
    rows = house.good("mail", "list", "--json").rows
    assert sorted(row["folder"] for row in rows) == ["INBOX", "INBOX", "Inbox/Bookings"]
    folders = house.good("audit", "main", "--json").rows
    assert [folder["proven"] for folder in folders] == [True, True]
    assert [folder["unsized"] for folder in folders] == [2, 1]


def test_the_daemon_files_what_comes_and_polls_by_one_request(graph: Graph, tmp_path: Path) -> None:
    house, mailbox, _ = house_for(tmp_path, graph, 1, imports="  every: 1s\n")
    with house.daemon() as daemon:
        until("the first mail is filed", 60, lambda: len(house.good("mail", "list", "--json").rows) == 1)
        mailbox.deliver(next(booking_messages(1, seed=5)))
        until("the second one, too", 60, lambda: len(house.good("mail", "list", "--json").rows) == 2)
        graph.drop_sync_states()
        graph.expire_tokens()
        mailbox.deliver(next(booking_messages(1, seed=6)))
        until("the third one, too", 60, lambda: len(house.good("mail", "list", "--json").rows) == 3)
        graph.log.clear()
        until("it polls", 60, lambda: len(graph.log.requests) > 3)
        assert {one.path.rpartition("/")[2] for one in graph.log.requests} == {"delta"}
        log = daemon.log
    # Neither the secret nor any token, of which each has some 2,000 characters.
    hidden = [graph.app.secret, *graph.tokens._issued]
    assert len(hidden) == 3
    kept = [log.encode(), *(path.read_bytes() for path in house.state.rglob("*") if path.is_file())]
    assert not any(one[:40].encode() in text for one in hidden for text in kept)
    assert mailbox.initial_deltas == 2


def test_a_secret_that_ends_soon_is_told_by_status_log_and_metric(graph: Graph, tmp_path: Path) -> None:
    house, mailbox, _ = house_for(tmp_path, graph, 0)
    path = house.folder / "accounts/main.yaml"
    own = path.read_text()
    today = datetime.now(UTC).date()
    path.write_text(f"secret_expires: {today + timedelta(days=12)}\n{own}")
    shared = f"tenant: {graph.app.tenant}, client: {graph.app.client}, secret: !file app-secret, secret_expires: {today - timedelta(days=2)}"
    port = free_ports(1)[0]
    main = house.folder / "gatewayd.yaml"
    main.write_text(
        f"{main.read_text()}metrics: {{port: {port}}}\ncredentials:\n  acme365:\n"
        f"    {{kind: office365, {shared}, authority: {graph.authority}, ca_file: {graph.ca_file}}}\n"
    )
    for name in ("one", "two"):
        house.write(
            f"accounts/{name}.yaml",
            f"kind: office365\noperators: [acme]\nmailbox: {name}@acme.example\ncredential: acme365\ngraph: {graph.base}\n"
            f"ca_file: {graph.ca_file}\nimport: {{folders: [INBOX], enabled: false}}\n",
        )
    with house.daemon() as daemon:
        until("it is told", 60, lambda: daemon.log.count("credential ends") == 2)
        assert f"credential ends credential=acme365 day={today - timedelta(days=2)}" in daemon.log
        assert "credential ends credential=accounts/main.yaml" in daemon.log
        shown = house.run("status").out
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            assert re.search(rb"^gatewayd_secret_days -[23]", answer.read(), re.MULTILINE)
    words = " ".join(shown.split())
    assert "Its secret ends on" in words
    assert "Its secret has ended on" in words
    assert mailbox.address not in words
