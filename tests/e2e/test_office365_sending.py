"""An account of Office 365 that imports and sends, by the command line, with the stand-in for Microsoft Graph."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import default
from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.contracts.custodian import make_raw
from gatewayd.testing.graph import Graph
from tests.e2e.house import House

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def graph() -> Iterator[Graph]:
    with Graph() as server:
        yield server


def test_P7_one_account_imports_forwards_and_writes_and_nothing_goes_twice(tmp_path: Path, graph: Graph) -> None:
    """The answer to each send is lost, and the forward comes back without any header of ours."""
    graph.knobs.sends_twice = graph.knobs.replaces_message_id = True
    mailbox = graph.add_mailbox("desk@acme.example")
    house = House(tmp_path)
    house.write("credentials/acme365", graph.app.secret)
    house.operator(
        "acme",
        matchers="[threads]",
        more="targets: {duty: {kind: office365, account: desk, to: [duty@x.example]}}\nforward: [{when: {}, to: duty}]\n",
    )
    house.write(
        "accounts/desk.yaml",
        f"kind: office365\noperators: [acme]\nmailbox: {mailbox.id}\ntenant: {graph.app.tenant}\nclient: {graph.app.client}\n"
        f"secret: !credential acme365\nauthority: {graph.authority}\ngraph: {graph.base}\nca_file: {graph.ca_file}\n"
        "import: {folders: [INBOX], start: all}\n"
        "send: {from: {name: Acme, address: desk@acme.example}, system: true}\n",
    )
    mailbox.deliver(make_raw(1))
    house.good("import", "desk", "--forward", "--from-beginning")
    letter = house.write("letter.txt", "Thank you")
    to = ("--to", "anna@x.example", "--bcc", "boss@x.example")
    house.good("mail", "send", *to, "--subject", "Rome", "--text", letter)
    graph.fail("/send", "close", done=True, times=2)
    assert house.run("outbox", "deliver").code == 0
    copies = graph.delivered
    assert sorted(one.recipient for one in copies) == ["anna@x.example", "boss@x.example", "duty@x.example"]
    (forward,) = [one for one in copies if one.recipient == "duty@x.example"]
    written = next(one for one in copies if one.recipient == "anna@x.example")
    # The letter comes to the mailbox, too, and looks like an answer to itself.
    for one in (forward, written):
        mailbox.deliver(one.mime)
    house.good("import", "desk")
    assert house.run("outbox", "deliver").code == 0
    rows = house.good("outbox", "list", "--json").rows
    assert [one["state"] for one in rows] == ["withheld", "withheld", "delivered", "delivered"]
    assert "it would go in a circle: it is a mail of our own that came back" in {one["words"] for one in rows[:2]}
    assert "Exchange has sent it" in rows[2]["recipients"][0]["words"]
    assert len(graph.delivered) == 3
    # An answer of a person goes on.
    sent = message_from_bytes(written.mime, policy=default)
    threading = f"In-Reply-To: {sent['Message-ID']}\r\nReferences: {sent['References']} {sent['Message-ID']}\r\n"
    mailbox.deliver(threading.encode() + make_raw(7))
    house.good("import", "desk")
    assert house.good("outbox", "list", "--json").rows[0]["state"] == "waiting"
    assert house.run("outbox", "deliver").code == 0
    assert [one.recipient for one in graph.delivered[3:]] == ["duty@x.example"]
    assert {message_from_bytes(one.mime, policy=default)["From"] for one in graph.delivered} == {"Acme <desk@acme.example>"}


@pytest.mark.parametrize(
    ("entra", "exchange", "lacks"),
    [
        ({"Mail.Read"}, {"Mail.ReadWrite", "Mail.Send"}, []),
        (set(), {"Mail.ReadWrite", "Mail.Send"}, []),
        ({"Mail.Send"}, {"Mail.ReadWrite"}, []),
        ({"Mail.Read"}, {"Mail.Send"}, ["needs the permission Mail.ReadWrite, and the access token has Mail.Read"]),
        ({"Mail.ReadWrite"}, set(), ["needs the permission Mail.Send, and the access token has Mail.ReadWrite"]),
    ],
)
def test_check_calls_nothing_missing_that_entra_and_exchange_grant_between_them(
    tmp_path: Path, graph: Graph, entra: set[str], exchange: set[str], lacks: list[str]
) -> None:
    """A token shows what Entra grants, and nothing of RBAC for Applications."""
    mailbox = graph.add_mailbox("desk@acme.example")
    mailbox.folder("Done")
    graph.app.roles, graph.app.granted[mailbox.id] = entra, exchange
    house = House(tmp_path)
    house.write("credentials/acme365", graph.app.secret)
    house.operator("acme")
    house.write(
        "accounts/desk.yaml",
        f"kind: office365\noperators: [acme]\nmailbox: {mailbox.id}\ntenant: {graph.app.tenant}\nclient: {graph.app.client}\n"
        f"secret: !credential acme365\nauthority: {graph.authority}\ngraph: {graph.base}\nca_file: {graph.ca_file}\n"
        "import: {folders: [INBOX], after: {move: Done}}\nsend: {from: {address: desk@acme.example}, system: true}\n",
    )
    done = house.run("check", "--online")
    said = " ".join(f"{done.out} {done.err}".split())
    assert done.code == (1 if lacks else 0), said
    assert all(one in said for one in lacks), said
    assert ("needs the permission" in said) == bool(lacks), said
