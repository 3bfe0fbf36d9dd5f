"""A personal mailbox of Exchange Online, from the person's consent to its mail: against the stand-in for Microsoft."""

from __future__ import annotations

import re
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.contracts.transport import message
from gatewayd.testing.graph import Graph
from gatewayd.testing.servers.proxy import free_ports
from tests.e2e.house import House, until
from tests.e2e.terminal import Terminal
from tests.plugins.consent_pages import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gatewayd.testing.graph import ExchangeMailbox, LoggedRequest
    from tests.e2e.house import Daemon

IRINA = "irina@acme.example"
#: Seconds that a request may wait for another one.
PATIENCE = 30


@pytest.fixture
def graph() -> Iterator[Graph]:
    with Graph() as server:
        server.app.is_public = server.app.allows_device_code = True
        yield server


@pytest.fixture
def mailbox(graph: Graph) -> ExchangeMailbox:
    return graph.add_mailbox(IRINA)


def house_of(folder: Path, graph: Graph, *, store: str = "", more: str = "") -> House:
    """Return a house with the account irina, and a credential that persons consent to."""
    house = House(folder, store=store)
    house.operator("acme")
    main = (house.folder / "gatewayd.yaml").read_text()
    fields = (
        f"kind: office365, tenant: {graph.app.tenant}, client: {graph.app.client}, consent: true, authority: '{graph.authority}'"
    )
    people = f"{{{fields}, graph: '{graph.base}', ca_file: {graph.ca_file}, timeout: 60s{more}}}"
    house.write("sealing", "k" * 40)
    house.write("gatewayd.yaml", f"{main}sealing_key: !file sealing\ncredentials:\n  people: {people}\n")
    account(house, graph, "irina", more=f"send: {{from: {{name: Irina Mari, address: {IRINA}}}}}\n")
    return house


def account(house: House, graph: Graph, name: str, folder: str = "INBOX", more: str = "") -> None:
    fields = f"mailbox: {IRINA}\ncredential: people\ngraph: {graph.base}\nca_file: {graph.ca_file}\ntimeout: 60s\n"
    imports = f"import:\n  folders: [{folder}]\n  every: 1s\n"
    house.write(f"accounts/{name}.yaml", f"kind: office365\noperators: [acme]\n{fields}{more}{imports}")


@pytest.fixture
def house(tmp_path: Path, graph: Graph) -> House:
    return house_of(tmp_path, graph)


def connect(house: House, graph: Graph, name: str = "irina") -> tuple[int, str]:
    """Connect an account as its person does; return the exit code and what was shown."""
    with Terminal(house, "account", "connect", name) as terminal:
        (link,) = re.findall(r"https://\S+", terminal.wait_for("Paste it here: "))
        terminal.type(opened(link, graph.ca_file))
        return terminal.ended(), terminal.shown


def connected(house: House, graph: Graph, name: str = "irina") -> None:
    code, shown = connect(house, graph, name)
    assert code == 0, shown


def refreshed(graph: Graph) -> list[int]:
    """Return the statuses of all requests for a token so far."""
    return [one.status for one in graph.log.token_requests]


def kills(daemon: Daemon) -> Callable[[LoggedRequest], object]:
    """Return what kills a daemon at its first request for mail, which has a token that it has just got."""
    return lambda request: daemon.kill() if request.path.startswith("/v1.0/") else None


def all_filed(house: House, many: int) -> bool:
    return sum(house.filed().values()) == many


def test_P9_a_person_consents_and_mail_comes_in_over_restarts_with_no_token_anywhere(
    house: House, graph: Graph, mailbox: ExchangeMailbox
) -> None:
    before = house.run("check", "--online")
    assert f"{IRINA} has not consented to our opening the mailbox. Run `gatewayd account connect irina`." in before.out
    connected(house, graph)
    done = house.run("check", "--online")
    # With a token of the person's it is seen what the account may do, to send as well.
    assert done.code == 0, done.out + done.err
    logs = []
    for many in (1, 2, 3):
        graph.expire_tokens()
        mailbox.deliver(message(many))
        with house.daemon() as daemon:
            until("all is filed", 30, lambda many=many: all_filed(house, many))  # type: ignore[misc]  # mypy can't infer it
            logs.append(daemon.log)
    given = graph.tokens.given
    kept = b"".join(path.read_bytes() for path in house.state.rglob("*") if path.is_file())
    said = "".join(logs) + house.run("status", "--json").out
    assert len(given) > 8
    assert not [one for one in given if one[:60] in said or one[:60].encode() in kept]


def test_a_mailbox_is_opened_by_any_of_its_names(house: House, graph: Graph) -> None:
    """Graph finds no user by an alias."""
    graph.consents.signed_in = mailbox = graph.add_mailbox("irina.mari@acme.example")
    mailbox.aliases = [IRINA]
    mailbox.deliver(message(1))
    connected(house, graph)
    assert house.run("check", "--online").code == 0
    (report,) = house.good("import", "irina", "--json").rows
    assert report["filed"] == 1


def test_another_persons_consent_is_refused_with_both_names(house: House, graph: Graph, mailbox: ExchangeMailbox) -> None:
    del mailbox
    graph.consents.signed_in = graph.add_mailbox("boss@acme.example")
    code, shown = connect(house, graph)
    assert code == 1
    assert f"boss@acme.example has consented, and the account's mailbox is {IRINA}: nothing is kept" in shown
    assert "has not consented" in house.run("check", "--online").out


def test_a_mailbox_by_graph_and_by_imap_asks_for_both(house: House, graph: Graph, mailbox: ExchangeMailbox) -> None:
    """One consent serves both, once the person has let the app do both."""
    del mailbox
    fields = f"host: localhost\nport: {free_ports(1)[0]}\nsecurity: none\ninsecure: true\nusername: {IRINA}\ncredential: people\n"
    house.write("accounts/irina-imap.yaml", f"kind: imap\noperators: [acme]\nsecond: true\n{fields}import:\n  folders: [INBOX]\n")
    connected(house, graph)
    found = house.run("check", "--online").out
    assert "irina-imap: localhost" in found
    assert "has not consented to all that this needs" in found
    assert "Run `gatewayd account connect irina-imap`." in found
    connected(house, graph, "irina-imap")
    found = house.run("check", "--online").out
    assert "connection refused" in found
    assert "consent" not in found


def test_a_person_who_declines_is_told_and_asked_again(house: House, graph: Graph, mailbox: ExchangeMailbox) -> None:
    del mailbox
    graph.consents.declines = True
    code, shown = connect(house, graph)
    assert code == 1
    assert "the person has declined (AADSTS65004)" in shown
    graph.consents.declines = False
    connected(house, graph)


def test_a_person_consents_with_a_device_code(tmp_path: Path, graph: Graph, mailbox: ExchangeMailbox) -> None:
    house = house_of(tmp_path, graph, more=", device_code: true")
    graph.consents.interval = 1
    with Terminal(house, "account", "connect", "irina", "--device-code") as terminal:
        terminal.wait_for("type in the code ")
        graph.consents.enter(terminal.wait_for(",").strip(), mailbox)
        assert terminal.ended() == 0, terminal.shown
    assert house.run("check", "--online").code == 0


def test_P1_a_kill_before_the_first_use_of_a_token_loses_no_consent(house: House, graph: Graph, mailbox: ExchangeMailbox) -> None:
    graph.consents.refuses_used = True
    connected(house, graph)
    mailbox.deliver(message(1))
    for _ in range(3):
        graph.expire_tokens()
        with house.daemon(ready=False) as daemon:
            graph.on_request = kills(daemon)
            until("it is killed", 30, lambda daemon=daemon: daemon.process.poll() is not None)  # type: ignore[misc]  # mypy can't infer it
    graph.on_request = lambda _request: None
    assert set(refreshed(graph)) == {200}
    with house.daemon():
        until("its mail is filed", 30, lambda: all_filed(house, 1))
    assert set(refreshed(graph)) == {200}


def test_P1_a_kill_before_an_answer_has_come_loses_no_consent(house: House, graph: Graph, mailbox: ExchangeMailbox) -> None:
    """As Microsoft does it: a refresh token is taken once more, so what is killed with an answer is asked for again."""
    connected(house, graph)
    mailbox.deliver(message(1))
    asked = len(graph.log.token_requests)
    graph.fail("/token", "freeze")
    with house.daemon(ready=False) as daemon:
        until("it has asked", 30, lambda: len(graph.log.token_requests) > asked)
        daemon.kill()
    with house.daemon():
        until("its mail is filed", 30, lambda: all_filed(house, 1))


@pytest.mark.parametrize(("number", "what"), [(50173, "the person has a new password"), (700082, "it was not used for 90 days")])
def test_a_consent_that_has_ended_is_told_with_what_to_do_and_mended(
    house: House, graph: Graph, mailbox: ExchangeMailbox, number: int, what: str
) -> None:
    connected(house, graph)
    with house.daemon():
        until("the mailbox was opened", 30, lambda: graph.log.find("mailFolders", status=200))
        graph.consents.end(mailbox, number)
        graph.expire_tokens()
        until("the account is paused", 30, lambda: house.status()["irina"]["condition"] == "paused")
        found = house.status()["irina"]
        assert what in found["error"]
        assert f"(AADSTS{number}, trace id " in found["error"]
        assert found["advice"].endswith("Run `gatewayd account connect irina`.")
        connected(house, graph)
        mailbox.deliver(message(1))
        until("its mail is filed", 30, lambda: all_filed(house, 1))


def test_two_daemons_on_one_store_share_a_consent(
    tmp_path: Path, graph: Graph, mailbox: ExchangeMailbox, new_store: Callable[[], str]
) -> None:
    """Each refresh token serves once: whoever is later takes what the other has written."""
    house = house_of(tmp_path, graph, store=new_store())
    account(house, graph, "archive", "archive", "second: true\n")
    graph.consents.refuses_used = True
    connected(house, graph)
    # It is renewed at half of its life.
    graph.tokens.lifetime = 2
    with house.daemon() as first, house.daemon() as second:

        def shared() -> bool:
            holders = {str(owner).split(":")[1] for (owner,) in house.read("SELECT owner FROM health")}
            return holders == {str(one.process.pid) for one in (first, second)}

        until("each has one of the accounts", 40, shared)
        # Both have sent the same refresh token before one of them is answered, four times.
        met: list[int] = []
        meeting = threading.Barrier(2, lambda: met.append(1))

        def together(request: LoggedRequest) -> None:
            if request.path.endswith("/token") and len(met) < 4:
                with suppress(threading.BrokenBarrierError):
                    meeting.wait(PATIENCE)

        graph.on_request = together
        until("they have asked at once", 60, lambda: len(met) >= 4)
        until("some were refused", 30, lambda: 400 in {one.status for one in graph.log.token_requests})
        for folder in ("inbox", "archive"):
            mailbox.deliver(message(len(folder)), folder)
        until("both bring mail", 30, lambda: all_filed(house, 2))
        assert "account paused" not in first.log + second.log
