"""``./gw bench outbox``: deliveries a second through the outbox, durable as it is, against a bare loop of smtplib.

Both send the same bytes, attached forwards of small mails, to one SMTP server in a process of its own: the loop over one
connection that stays open, out of memory; gatewayd from its store, with its threads, and every result on the disk.
"""

from __future__ import annotations

import shutil
import smtplib
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from gatewayd import Address, Delivery, Folders, Query, Taken, Viewer
from gatewayd.api.delivery import Recipient
from gatewayd.config import AccountConfig, Config, OperatorConfig, SendConfig
from gatewayd.outgoing.dispatcher import Dispatcher
from gatewayd.outgoing.forward_mime import forwarded
from gatewayd.outgoing.parcels import parcel
from gatewayd.registry.loading import load
from gatewayd.runtime.events import Events
from gatewayd.runtime.instance import Instance
from gatewayd.testing.contracts.custodian import Custodian, make_filing, make_raw
from gatewayd_smtp.forwarder import Smtp
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from gatewayd.api.delivery import Settled
    from gatewayd.registry.loading import Registry


class _Settled(Events):
    """Remembers how each try ended."""

    def __init__(self) -> None:
        self.states: list[str] = []

    def delivery_settled(self, destination: str, taken: Taken, settled: Settled) -> None:  # noqa: ARG002  the event's own
        self.states.append(settled.state)


_SENDER = Address(name="Acme Tours", email="out@acme.example")
_DUTY = "duty@example.com"
_VIEWER = Viewer(operator="acme")
#: Mails are filed, and looked up, so many at a time.
_BATCH = 200
#: It takes everything and keeps nothing.
_SERVER = """
import asyncio
from aiosmtpd.smtp import SMTP

class Sink:
    async def handle_DATA(self, server, session, envelope):
        return "250 taken"

async def main():
    loop = asyncio.get_running_loop()
    made = await loop.create_server(lambda: SMTP(Sink(), hostname="sink.example"), "127.0.0.1", 0)
    print(made.sockets[0].getsockname()[1], flush=True)
    await made.serve_forever()

asyncio.run(main())
"""


def main(given: argparse.Namespace) -> int:
    """Measure both in turn, and print the medians and their ratio."""
    registry = load()
    bare, ours = [], []
    with _server() as port:
        for _ in range(given.rounds):
            folder = Path(tempfile.mkdtemp(prefix="gatewayd-bench-"))
            try:
                seconds = _round(folder, port, given.deliveries, registry)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            bare.append(given.deliveries / seconds[0])
            ours.append(given.deliveries / seconds[1])
            print(f"  smtplib {bare[-1]:.0f}/s, gatewayd {ours[-1]:.0f}/s", flush=True)
    ratio = statistics.median(ours) / statistics.median(bare)
    print(f"{given.deliveries} attached forwards, median of {given.rounds}:")
    print(f"  smtplib, one connection: {statistics.median(bare):.0f} deliveries/s")
    print(f"  gatewayd, durable:       {statistics.median(ours):.0f} deliveries/s, {ratio:.2f} of it (goal: at least 0.5)")
    return 0


@contextmanager
def _server() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", _SERVER], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def _round(folder: Path, port: int, count: int, registry: Registry) -> tuple[float, float]:
    """Return the seconds that the bare loop and gatewayd took for as many deliveries."""
    store = Sql(SqlOptions(url=None), place=Folders(config=folder, state=folder))
    store.open()
    with closing(store):
        _fill(store, count)
        return _bare(port, _composed(store)), _ours(store, folder, port, count, registry)


def _delivery(number: int) -> Delivery:
    message_id = f"<gw.f.{number:024}.{number:024}@acme.example>"
    return Delivery(forwarder="smtp", account="out", to=(_DUTY,), cause="rule 1", message_id=message_id)


def _fill(store: Sql, count: int) -> None:
    hand = Custodian.of(store)
    for start in range(1, count + 1, _BATCH):
        numbers = range(start, min(start + _BATCH, count + 1))
        hand.enter(*map(str, numbers))
        filings = ((number, replace(make_filing(), deliveries=(_delivery(number),))) for number in numbers)
        hand.commit(*(hand.outcome(str(number), make_raw(number, text="Hello\n" * 100), filing) for number, filing in filings))


def _composed(store: Sql) -> Sequence[bytes]:
    """Return what gatewayd will send, to the byte."""
    found: list[bytes] = []
    before = None
    while filings := store.filings(_VIEWER, Query(before=before, limit=_BATCH)):
        before = filings[-1].id
        for filing in filings:
            source = store.source(_VIEWER, filing.id)
            assert source is not None
            taken = Taken(
                id=filing.id,
                operator="acme",
                user=None,
                mail_id=filing.id,
                delivery=_delivery(filing.id),
                recipients=(Recipient(address=_DUTY),),
                source=source,
                entered_at=filing.received_at,
                tries=0,
            )
            found.append(b"".join(forwarded(parcel(taken, filing, _SENDER, keep=bool), eight_bit=True).pieces()))
    return found


def _bare(port: int, messages: Sequence[bytes]) -> float:
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.ehlo()
        began = time.perf_counter()
        for message in messages:
            client.sendmail(_SENDER.email, [_DUTY], message)
        return time.perf_counter() - began


def _ours(store: Sql, folder: Path, port: int, count: int, registry: Registry) -> float:
    options = Smtp.Options.model_validate({"host": "127.0.0.1", "port": port, "security": "none", "insecure": True})
    sends = SendConfig.model_validate({"from": {"name": _SENDER.name, "address": _SENDER.email}})
    account = AccountConfig(name="out", kind="smtp", operators=("acme",), options=options, sends=sends)
    config = Config(
        folder=folder,
        state=folder,
        store_kind="sql",
        store_options=SqlOptions(url=None),
        registry=registry,
        operators={"acme": OperatorConfig(name="acme")},
        accounts={"out": account},
    )
    heard = _Settled()
    with Instance(folder) as owner:
        posting = Dispatcher(store, owner, heard)
        began = time.perf_counter()
        posting.apply(config)
        while len(heard.states) < count:
            time.sleep(0.005)
        seconds = time.perf_counter() - began
        posting.stop(5)
    assert heard.states == ["delivered"] * count
    return seconds
