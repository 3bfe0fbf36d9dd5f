"""No secret and no token is anywhere but where it belongs: log, database, state folder and process list are looked through (P9)."""

from __future__ import annotations

import base64
import os
import re
import secrets
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.graph import Graph
from gatewayd.testing.messages import booking_messages
from tests.e2e.house import House, until
from tests.patience import AT_ONCE
from tests.plugins.app_certificate import made

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewayd.testing.graph import EntraApp, ExchangeMailbox

#: Any user but root.
SOMEBODY = 62846
#: So many characters of a secret in a row are too many.
FEW = 24
#: A JWT, whoever has signed it: a token of Microsoft's, or our own proof.
JWT = re.compile(rb"eyJ[\w-]{20,}\.[\w-]{20,}\.")


@pytest.fixture
def graph() -> Iterator[Graph]:
    with Graph() as server:
        yield server


@dataclass(frozen=True)
class Place:
    """A house whose accounts have a secret of 2,000 characters and a certificate."""

    house: House
    mailboxes: list[ExchangeMailbox]
    apps: list[EntraApp]
    #: What nobody may find.
    hidden: list[str]


def place_for(folder: Path, graph: Graph) -> Place:
    secret = secrets.token_urlsafe(1500)
    assert len(secret) == 2000
    key, certificate = made(folder, days=12)
    house = House(folder)
    house.operator(
        "acme", more="targets: {duty: {kind: office365, account: main, to: [duty@x.example]}}\nforward: [{when: {}, to: duty}]\n"
    )
    house.write("credentials/secret", secret)
    house.write("credentials/pem", key + certificate)
    lines = [line for line in key.splitlines() if len(line) > FEW and "-----" not in line]
    place = Place(house=house, mailboxes=[], apps=[], hidden=[secret, *lines])
    app, other = graph.add_app(secret=secret), graph.add_app(certificate=certificate)
    for name, one, proof in (("main", app, "secret: !credential secret"), ("second", other, "certificate: !credential pem")):
        mailbox = graph.add_mailbox(f"{name}@acme.example")
        place.mailboxes.append(mailbox)
        place.apps.append(one)
        house.write(
            f"accounts/{name}.yaml",
            f"kind: office365\noperators: [acme]\nmailbox: {mailbox.id}\ntenant: {one.tenant}\nclient: {one.client}\n{proof}\n"
            f"authority: {graph.authority}\ngraph: {graph.base}\nca_file: {graph.ca_file}\n"
            f"import: {{folders: [INBOX], every: 1s, start: all}}\n"
            f"send: {{from: {{address: {name}@acme.example}}, system: {str(name == 'main').lower()}}}\n",
        )
    return place


def found_in(data: bytes, hidden: list[str]) -> bool:
    """Whether a piece of something hidden is in these bytes, as it is or as base64."""
    forms = [form for one in hidden for form in (one.encode(), base64.b64encode(one.encode()))]
    pieces = {form[at : at + FEW] for form in forms for at in range(0, len(form) - FEW + 1, FEW)}
    return JWT.search(data) is not None or any(piece in data for piece in pieces)


def runs(pid: int) -> bool:
    """Whether a process runs. One that has ended stays as an entry where nobody asks for it, as in a container without an init."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def tree(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, parent = int(path.parent.name), int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(number)
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def shown_of(pids: list[int]) -> bytes:
    """Return command lines and environments of processes, as root sees them."""
    shown = []
    for pid in pids:
        for name in ("cmdline", "environ", "comm"):
            try:
                shown.append(Path(f"/proc/{pid}/{name}").read_bytes())
            except OSError:
                continue
    return b"\n".join(shown)


def test_P9_no_secret_or_token_is_in_log_database_state_folder_or_process_list(graph: Graph, tmp_path: Path) -> None:
    """Nor in what commands print: of accounts that are well, and whose tokens end while their secrets are refused."""
    if os.geteuid() != 0:
        pytest.skip("not root: nobody else sees the environment of a process that can't be dumped")
    place = place_for(tmp_path, graph)
    house = place.house
    seen: list[bytes] = []
    with house.daemon("-m", "gatewayd") as daemon:
        # What is there before the first look is no news, and is not forwarded.
        until("both are looked at", 60, lambda: len({one.mailbox for one in graph.log.find("delta")}) == 2)
        until("and once more", 60, lambda: graph.log.find("deltatoken"))
        for number, mailbox in enumerate(place.mailboxes):
            mailbox.deliver(next(booking_messages(1, seed=number)))
        until("both mails are filed", 60, lambda: len(house.good("mail", "list", "--json").rows) == 2)
        until("they are forwarded", 60, lambda: len(graph.delivered) == 2)
        until("the certificate is told of", 60, lambda: "credential ends" in daemon.log)
        seen.append(shown_of(tree(daemon.process.pid)))
        assert seen[0].count(b"gatewayd.worker\n") >= 1
        with house.start("check", "--online") as command:
            seen.append(shown_of(tree(command.pid)))
            out, err = command.communicate(timeout=300)
        assert command.returncode == 0, err
        seen += [out.encode(), err.encode()]
        for app in place.apps:
            app.secret, app.certificate = app.secret and "another one", ""
        graph.expire_tokens()
        until("both are refused", 60, lambda: all(house.status()[one]["error"] for one in ("main", "second")))
        told = [house.run(*words) for words in (["status"], ["status", "--json"], ["check", "--online"], ["outbox", "list"])]
        seen += [f"{one.out}\n{one.err}".encode() for one in told]
        seen.append(shown_of(tree(daemon.process.pid)))
        log = daemon.log
    assert "AADSTS7000215" in told[0].out
    assert "AADSTS700026" in told[0].out
    day = (datetime.now(UTC) + timedelta(days=12)).date()
    assert any(f"Its certificate ends on {one}" in " ".join(told[0].out.split()) for one in (day, day - timedelta(days=1)))
    kept = [path.read_bytes() for path in house.state.rglob("*") if path.is_file()]
    assert len(kept) > 3
    # These are what there is to find: it would be, where it is.
    issued = list(graph.tokens._issued)
    assert len(issued) >= 4
    assert all(found_in(one.encode(), place.hidden) for one in (*issued, *place.hidden))
    assert all(len(one) > 1500 for one in issued)
    for data in (*seen, *kept, log.encode()):
        assert not found_in(data, [*place.hidden, *issued])


@pytest.mark.parametrize(("number", "user"), [(signal.SIGSEGV, 0), (signal.SIGABRT, SOMEBODY)])
def test_P9_a_daemon_that_crashes_leaves_no_core_though_its_limit_allows_one(
    tmp_path: Path, number: signal.Signals, user: int
) -> None:
    """Nor do its processes, as root, and as the owner of the state folder, who is not seen as the owner of their files."""
    if os.geteuid() != 0:
        pytest.skip("not root: there is nobody to become")
    house = House(tmp_path)
    house.operator("acme")
    house.account("main", "imap", 1, "anna")
    house.state.mkdir()
    for path in (tmp_path, house.state):
        os.chown(path, user, user)
    place = tmp_path / "place"
    place.mkdir()
    place.chmod(0o777)
    script = 'cd "$0" && ulimit -c unlimited && exec "$@"'
    command = ["/bin/sh", "-c", script, str(place), sys.executable, "-m", "gatewayd", "--config", str(house.folder), "run"]
    log = tmp_path / "log"
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            until("it has started", 60, lambda: "daemon started" in log.read_text())
            until("its processes have", 60, lambda: any("forkserver" in shown_of([one]).decode() for one in tree(process.pid)))
            pids = tree(process.pid)
            for pid in pids:
                status = Path(f"/proc/{pid}/status").read_text()
                assert re.search(rf"^Uid:\s+{user}\s", status, re.MULTILINE), status
                # The files of a process that can't be dumped belong to root (proc_pid(5)); one need not have come so far.
                until("it can't be dumped", 60, lambda pid=pid: Path(f"/proc/{pid}/environ").stat().st_uid == 0)  # type: ignore[misc]
            for pid in reversed(pids):
                os.kill(pid, number)
            process.wait(AT_ONCE)
            assert process.returncode == -number
            until("its processes have ended", 60, lambda: not any(map(runs, pids)))
        finally:
            process.kill()
    assert list(place.iterdir()) == []
