"""``./gw bench web [NUMBER]``: lists and searches of 20 people while mail is imported, on a store that has a million filings.

Ten operators share them, and one has 60 % of all. One process reads, as the pages do: 20 sessions with a request each two
seconds, half of them searches. Another one files 100 mails a second and indexes them, as the daemon does.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, text

from bench.web_load import store_at
from bench.web_rows import fill
from gatewayd.testing.servers.postgresql import Postgresql

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

_PEOPLE, _A_SECOND = 20, 100
#: What is asked, and within how many milliseconds it is to be there: in the median, and at the 95th percentile.
_GOALS = {"list": (100, 300), "filtered list": (100, 300), "rare words": (100, 300), "common words": (1000, 1000)}


def main(given: argparse.Namespace) -> int:
    """Fill each store, and print what people wait for on it."""
    for kind in ("sqlite", "postgresql"):
        if given.only and kind not in given.only:
            continue
        folder = Path(tempfile.mkdtemp(prefix="gatewayd-bench-"))
        try:
            if kind == "sqlite":
                _measured(f"sqlite:///{folder}/gatewayd.db", folder, given)
            else:
                with Postgresql() as server:
                    _measured(server.new_database(), folder, given)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def _measured(url: str, folder: Path, given: argparse.Namespace) -> None:
    began = time.monotonic()
    store = store_at(url, folder)
    store.open()
    store.close()
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        fill(connection, given.number)
    if not url.startswith("sqlite"):
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
    engine.dispose()
    kind = url.partition(":")[0]
    print(f"{kind}: {given.number} filings, made in {time.monotonic() - began:.0f} s", flush=True)
    last = str(given.number)
    reading = _started("read", url, folder, _PEOPLE, last, given.seconds)
    filing = _started("file", url, folder, _A_SECOND, last, given.seconds)
    filed, took = _said(filing), _said(reading)
    print(f"  filed {filed['filed'] / filed['seconds']:.0f} mails/s; at most {filed['behind']:.0f} were not indexed yet")
    _table(took)
    rates: dict[str, list[float]] = {"file only": [], "file": []}
    # What was filed before must not be met again.
    first = count(given.number + 10_000_000, 10_000_000)
    for _ in range(given.rounds):
        for what, found in rates.items():
            done = _said(_started(what, url, folder, 0, next(first), 10))
            found.append(done["filed"] / done["seconds"])
    alone, beside = (statistics.median(found) for found in rates.values())
    print(
        f"  as fast as it goes: {alone:.0f} mails/s without an index, {beside:.0f} with it:"
        f" {beside / alone:.2f} of it (goal: at least 0.9)"
    )


def _started(*words: object) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-m", "bench.web_load", *map(str, words)], stdout=subprocess.PIPE, text=True)


def _said(process: subprocess.Popen[str]) -> Any:
    said, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"it exited with {process.returncode}")
    return json.loads(said)


def _table(took: Mapping[str, Sequence[float]]) -> None:
    for kind, goals in _GOALS.items():
        if seconds := sorted(took.get(kind, ())):
            median, late = (1000 * seconds[min(len(seconds) - 1, int(len(seconds) * part))] for part in (0.5, 0.95))
            print(
                f"  {kind:<14} {len(seconds):>5} requests: median {median:>6.1f} ms (goal {goals[0]}),"
                f" 95th percentile {late:>6.1f} ms (goal {goals[1]}), most {1000 * seconds[-1]:.0f} ms"
            )
