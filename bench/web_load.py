"""What ``bench.web`` runs beside each other, each in a process of its own: ``read``, as the pages do, and ``file``, as the daemon.

Each prints one line of JSON in the end.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections import defaultdict
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from bench.web_rows import COMMON, OPERATORS, block, operator_of, rare
from gatewayd import Filed, Folders, Query, Viewer, parse
from gatewayd.daemon.indexing import Indexing
from gatewayd.message.mail import BytesSource
from gatewayd.testing.contracts.custodian import Custodian, make_filing, make_raw
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql

if TYPE_CHECKING:
    from collections.abc import Callable

_EACH, _BATCH = 2.0, 50


def store_at(url: str, folder: Path) -> Sql:
    """Return a store, not open yet."""
    return Sql(SqlOptions(url=url), place=Folders(config=folder, state=folder))


def _asked(chance: random.Random, operator: int, last: int) -> tuple[str, Query]:
    """Return what a person of an operator asks for: half are lists, half searches."""
    kind = chance.choice(["list", "list", "filtered list", "rare words", "rare words", "common words"])
    if kind == "list":
        return kind, Query(before=chance.choice([None, None, chance.randrange(1, last)]))
    if kind == "filtered list":
        return kind, chance.choice([Query(unread=True), Query(linked=True), Query(before=chance.randrange(1, last), linked=True)])
    if kind == "common words":
        words = chance.sample(COMMON, 2)
        return kind, Query(words=chance.choice([words[0], " ".join(words), words[0][:2], f'"{words[0]} {words[1]}"']))
    one = chance.randrange(1, last)
    one += next(step for step in range(1000) if operator_of(one + step) == operator)
    return kind, Query(words=chance.choice([rare(one), f"number{one}", f"{rare(one)} {block(one).split()[3][1:]}", rare(one)[:7]]))


def _person(store: Sql, number: int, last: int, until: float, told: Callable[[str, float], None]) -> None:
    chance = random.Random(number)
    operator = operator_of(number)
    viewer = Viewer(operator=f"operator-{operator}", users=(f"user-{number}",))
    due = time.monotonic() + chance.random() * _EACH
    while due < until:
        time.sleep(max(0.0, due - time.monotonic()))
        kind, query = _asked(chance, operator, last)
        began = time.monotonic()
        store.filings(viewer, query)
        told(kind, time.monotonic() - began)
        due = max(due + _EACH, time.monotonic())


def read(store: Sql, people: int, last: int, seconds: float) -> dict[str, list[float]]:
    """Return how many seconds each request took, by kind."""
    found: dict[str, list[float]] = defaultdict(list)
    store.open_reading()
    with closing(store):
        until = time.monotonic() + seconds
        threads = [
            threading.Thread(target=_person, args=(store, number, last, until, lambda kind, took: found[kind].append(took)))
            for number in range(people)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return found


def file(store: Sql, a_second: int, last: int, seconds: float, *, index: bool) -> dict[str, float]:
    """File mail for so long, with no ``a_second`` as fast as it goes; return how much, and how far behind the index was at most."""
    store.open()
    with closing(store):
        hands = {operator: Custodian.of(store, f"new-{operator}", holder="bench") for operator in range(1, OPERATORS + 1)}
        indexing = Indexing(store) if index else None
        began, number, most = time.monotonic(), last, 0
        while time.monotonic() < began + seconds:
            operator = operator_of(number // _BATCH)
            numbers = range(number, number + _BATCH)
            hand = hands[operator]
            hand.enter(*map(str, numbers))
            waiting = store.waiting(hand.lease.account, "INBOX", after=0, limit=_BATCH)
            hand.commit(*(_filed(each.entry_id, int(each.listed.key), operator) for each in waiting))
            number += _BATCH
            most = max(most, store.lengths().unindexed)
            if a_second:
                time.sleep(max(0.0, began + (number - last) / a_second - time.monotonic()))
        took = time.monotonic() - began
        if indexing:
            indexing.close()
        for hand in hands.values():
            store.release(hand.lease)
        return {"filed": number - last, "seconds": took, "behind": most}


def _filed(entry_id: int, number: int, operator: int) -> Filed:
    raw = make_raw(number, text=block(number).replace("_", ""))
    mail = parse(BytesSource(raw), mail_id=entry_id)
    return Filed(entry_id=entry_id, mail=mail, digest=sha256(raw).digest(), filings=(make_filing(f"operator-{operator}"),))


def main() -> None:
    """Do one of them."""
    what, url, folder, count, last, seconds = sys.argv[1:]
    store = store_at(url, Path(folder))
    if what == "read":
        print(json.dumps(read(store, int(count), int(last), float(seconds))))
    else:
        print(json.dumps(file(store, int(count), int(last), float(seconds), index=what == "file")))


if __name__ == "__main__":
    main()
