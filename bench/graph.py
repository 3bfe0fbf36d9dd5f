"""``./gw bench graph``: the kind ``office365`` against the stand-in for Microsoft Graph, which runs in a process of its own.

First a mailbox is imported, beside a bare loop that makes the same requests over one connection and keeps nothing. Then many idle
accounts of one app are polled, each answer after 250 ms: without and with another account's first import beside them.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench import measure
from bench.idle import daemon, private_of, used_by

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

#: Seconds between two polls of an account, and before each answer of the stand-in.
_EVERY, _DELAY = 60, 0.25
#: How many accounts the cost of one is counted from.
_FEW = 10
#: Seconds in which every account has been visited for the first time.
_SETTLE = 90.0
_PATIENCE = 120.0

_BARE = """
import http.client, json, ssl, sys, urllib.parse
told = json.loads(open(sys.argv[1]).read())
host = urllib.parse.urlsplit(told["base"])
context = ssl.create_default_context(cafile=told["ca_file"])
connection = http.client.HTTPSConnection(host.hostname, host.port, context=context)
form = {"grant_type": "client_credentials", "client_id": told["client"], "client_secret": told["secret"],
        "scope": f"https://{host.netloc}/.default"}
connection.request("POST", f"/{told['tenant']}/oauth2/v2.0/token", urllib.parse.urlencode(form),
                   {"Content-Type": "application/x-www-form-urlencoded"})
headers = {"Authorization": "Bearer " + json.load(connection.getresponse())["access_token"],
           "Prefer": 'IdType="ImmutableId", odata.maxpagesize=500'}
user = f"{host.path}/users/{told['full']}"
link, ids = f"{user}/mailFolders/inbox/messages/delta?$select=id,receivedDateTime,internetMessageId", []
while link:
    connection.request("GET", link, headers=headers)
    page = json.load(connection.getresponse())
    ids += [one["id"] for one in page["value"]]
    link = page.get("@odata.nextLink", "").removeprefix(f"https://{host.netloc}")
for one in ids:
    connection.request("GET", f"{user}/messages/{urllib.parse.quote(one, safe='')}/$value", headers=headers)
    answer = connection.getresponse()
    while answer.read(1 << 16):
        pass
assert len(ids) == int(sys.argv[2]), len(ids)
"""


class Polled(NamedTuple):
    """One daemon whose accounts were polled for a while."""

    accounts: int
    #: Seconds between two requests for one mailbox: the median, and the longest.
    median: float
    longest: float
    #: Percent of a core.
    cpu: float
    #: KiB of the daemon that no other process shares.
    private: int
    #: Messages that the first import beside the polls got, a second.
    imported: float


def main(given: argparse.Namespace) -> int:
    """Measure both, and print what was seen."""
    folder = Path(tempfile.mkdtemp(prefix="gatewayd-bench-"))
    try:
        _import(given, folder)
        _polls(given, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


@contextmanager
def _stand_in(
    folder: Path, mailboxes: int, messages: int, delay: float
) -> Iterator[tuple[subprocess.Popen[str], Mapping[str, Any]]]:
    """Start the stand-in; yield its process and what clients need."""
    told = folder / "graph.json"
    told.unlink(missing_ok=True)
    command = [sys.executable, "-m", "bench.graph_server", str(mailboxes), str(messages), str(delay), str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        until = time.monotonic() + _PATIENCE
        while not told.exists():
            if server.poll() is not None or time.monotonic() > until:
                raise RuntimeError("the stand-in did not start")
            time.sleep(0.1)
        try:
            yield server, json.loads(told.read_text())
        finally:
            assert server.stdin is not None
            server.stdin.close()


def _config(folder: Path, told: Mapping[str, Any], accounts: Mapping[str, str]) -> Path:
    """Write a config folder with one operator, and an account for each name with its mailbox."""
    config = folder / "config"
    shutil.rmtree(config, ignore_errors=True)
    for name in ("operators", "accounts", "acme"):
        (config / name).mkdir(parents=True)
    (config / "secret").write_text(told["secret"])
    (config / "gatewayd.yaml").write_text(
        f"state: {folder / 'state'}\ncredentials:\n  app: {{kind: office365, tenant: {told['tenant']}, client: {told['client']}, "
        f"secret: !file secret, authority: '{told['authority']}', ca_file: '{told['ca_file']}'}}\n"
    )
    (config / "operators/acme.yaml").write_text("directory: {kind: csv, folder: acme}\nmatchers: [contacts, reservations]\n")
    (config / "acme/persons.csv").write_text("id,name,email\n")
    for name, mailbox in accounts.items():
        (config / f"accounts/{name}.yaml").write_text(
            f"kind: office365\noperators: [acme]\ncredential: app\nmailbox: {mailbox}\ngraph: '{told['base']}'\n"
            f"ca_file: '{told['ca_file']}'\nimport: {{folders: [Inbox], every: {_EVERY}s}}\n"
        )
    return config


def _import(given: argparse.Namespace, folder: Path) -> None:
    with _stand_in(folder, 0, given.messages, 0.0) as (_, told):
        config = _config(folder, told, {"full": told["full"]})
        samples: dict[str, list[measure.Sample]] = {"bare loop": [], "gatewayd office365": []}
        for number in range(given.rounds):
            bare = [sys.executable, "-c", _BARE, str(folder / "graph.json"), str(given.messages)]
            samples["bare loop"].append(measure.run(bare, given.messages, str(folder / "log")))
            shutil.rmtree(folder / "state", ignore_errors=True)
            ours = [sys.executable, "-m", "gatewayd", "--config", str(config), "import", "full"]
            samples["gatewayd office365"].append(measure.run(ours, given.messages, str(folder / "log")))
            print(f"round {number + 1}: {', '.join(f'{name} {row[-1].rate:,.0f}/s' for name, row in samples.items())}", flush=True)
    print()
    measure.table(samples)
    bare_rate, our_rate = (statistics.median(one.rate for one in row) for row in samples.values())
    print(f"\ngatewayd office365 / bare loop: {our_rate / bare_rate:.2f}\n", flush=True)


def _polls(given: argparse.Namespace, folder: Path) -> None:
    with _stand_in(folder, given.accounts, given.messages, _DELAY) as (server, told):
        few = _polled(given, folder, server, told, told["idle"][:_FEW], backfill=False)
        many = _polled(given, folder, server, told, told["idle"], backfill=False)
        beside = _polled(given, folder, server, told, told["idle"], backfill=True)
    each = (many.private - few.private) / (many.accounts - few.accounts)
    print(f"{each:.1f} KiB an account")
    for name, seen in (("idle", few), ("idle", many), ("beside a first import", beside)):
        print(
            f"  {seen.accounts:>5} accounts {name}: polled every {seen.median:.1f} s (longest {seen.longest:.1f} s), "
            f"{seen.cpu:.2f} % of a core, {seen.private / 1024:.1f} MiB"
            + (f", imported {seen.imported:.0f} messages/s" if seen.imported else ""),
            flush=True,
        )


def _polled(
    given: argparse.Namespace,
    folder: Path,
    server: subprocess.Popen[str],
    told: Mapping[str, Any],
    mailboxes: Sequence[str],
    *,
    backfill: bool,
) -> Polled:
    shutil.rmtree(folder / "state", ignore_errors=True)
    accounts = {f"idle{number}": mailbox for number, mailbox in enumerate(mailboxes)}
    config = _config(folder, told, accounts)
    with daemon(config, folder / "log") as running:
        time.sleep(_SETTLE + len(accounts) * _DELAY / 4)
        _asked(server)
        if backfill:
            text = (config / "accounts/idle0.yaml").read_text().replace(accounts["idle0"], told["full"])
            (config / "accounts/full.yaml").write_text(text)
        before, began = used_by(running.pid), time.monotonic()
        time.sleep(max(given.seconds, 3 * _EVERY))
        after, took = used_by(running.pid), time.monotonic() - began
        private = private_of(running.pid)
        asked = _asked(server)
    gaps = [later - one for mailbox in mailboxes for one, later in _pairs(asked.get(mailbox, []))]
    return Polled(
        accounts=len(accounts),
        median=statistics.median(gaps),
        longest=max(gaps),
        cpu=100 * (after.cpu - before.cpu) / took,
        private=private,
        imported=len(asked.get(told["full"], ())) / took if backfill else 0.0,
    )


def _pairs(times: Sequence[float]) -> Iterator[tuple[float, float]]:
    # Requests within a second belong to one poll.
    polls = [one for number, one in enumerate(times) if not number or one - times[number - 1] > 1.0]
    return pairwise(polls)


def _asked(server: subprocess.Popen[str]) -> Mapping[str, Sequence[float]]:
    """Return when each mailbox was asked since the last call."""
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write("\n")
    server.stdin.flush()
    found: Mapping[str, Sequence[float]] = json.loads(server.stdout.readline())
    return found
