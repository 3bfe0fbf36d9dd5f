"""Matchers that hang, die or take all memory, in a running daemon: they cost their own links only, and what is mended is matched again (P4)."""

from __future__ import annotations

import statistics
import threading
import time
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

import pytest

from tests.e2e.house import House, until
from tests.patience import BUSY, Stopwatch
from tests.unit.matchers import WRONG, plugin
from tests.unit.matching.test_worker_matching import runs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot

BAD = ("regex", "exits", "hoards", "sleeps")
GOOD = ("nord", "sued")
#: Those of the bad that hang.
HANG = ("regex", "sleeps")
WORKERS = "workers: {processes: 2, deadline: 2s, budget: 4s, memory_mib: 128}\n"
#: Seconds within which 95 of a hundred healthy mails are filed, unless the machine is too busy for it without bad matchers, too.
HEALTHY = 2.5
#: Batches of mail for each bad matcher: after three it is not called any more.
TURNS = 5
_NUMBER = count(1)


class Site:
    """Operators with an account of their own each."""

    def __init__(self, folder: Path, dovecot: Dovecot) -> None:
        self.house = House(folder)
        self._dovecot = dovecot
        self._folder = folder
        self.house.write("gatewayd.yaml", f"state: {self.house.state}\nplugins: {{folder: plugins}}\n{WORKERS}")

    def operator(self, name: str, *matchers: str) -> None:
        self.sign(name, "x").parent.mkdir()
        directory = f"directory: {{kind: known, folder: {self.sign(name, 'x').parent}}}\n"
        self.house.write(f"operators/{name}.yaml", f"{directory}matchers: [{', '.join(matchers)}]\n")
        user = f"{self._folder.name}-{name}"
        self._dovecot.user(user, "pass")
        self.house.account(
            name, "imap", self._dovecot.ports["imap"], user, more=f"operators: [{name}]\n", imports="  error_queue: front-office\n"
        )

    def sign(self, name: str, does: str) -> Path:
        """The file that tells an operator's directory to do something wrong."""
        return self._folder / f"signs-{name}" / does

    def send(self, name: str, *subjects: str) -> list[str]:
        """Deliver mail; return its Message-IDs."""
        ids = [f"<{next(_NUMBER)}@example.com>" for _ in subjects]
        raws = [
            f"From: anna@example.com\r\nSubject: {subject}\r\nMessage-ID: {one}\r\n\r\nText\r\n".encode()
            for one, subject in zip(ids, subjects, strict=True)
        ]
        self._dovecot.deliver(f"{self._folder.name}-{name}", raws)
        return ids

    def filed(self, *ids: str, seconds: float = 60) -> None:
        until(f"{ids} are filed", seconds, lambda: not set(ids) - self.house.filed().keys())

    def links(self, name: str) -> dict[str, set[str]]:
        """By whom each mail is linked, by its subject."""
        rows = self.house.good("mail", "list", "--operator", name, "--json").rows
        return {row["subject"]: {link["by"] for link in row["links"]} for row in rows}

    @contextmanager
    def healthy_mail(self, delays: list[float]) -> Iterator[None]:
        """Let mail come to the healthy, and measure how long each takes to be filed, while the block lasts."""
        end = threading.Event()

        def work() -> None:
            for number in count():
                began = time.monotonic()
                (one,) = self.send(GOOD[number % 2], f"healthy {number}")
                self.filed(one)
                delays.append(time.monotonic() - began)
                if end.wait(0.1):
                    return

        thread = threading.Thread(target=work, name="healthy")
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()


@pytest.mark.alone
def test_P4_bad_matchers_cost_their_own_links_only_and_are_matched_again_once_mended(dovecot: Dovecot, tmp_path: Path) -> None:
    site = Site(tmp_path, dovecot)
    house = site.house
    house.write("plugins/ours.py", plugin({kind: WRONG[kind] for kind in BAD}))
    for name in BAD:
        site.operator(name, "good", name, "asks")
    for name in GOOD:
        site.operator(name, "good")
    with house.daemon():
        quiet: list[float] = []
        with site.healthy_mail(quiet):
            time.sleep(4)
        delays: list[float] = []
        watch = Stopwatch()
        said: dict[str, set[str]] = {name: set() for name in BAD}
        with site.healthy_mail(delays):
            for turn in range(TURNS):
                sent = [one for name in BAD for one in site.send(name, f"fine {turn}", f"well {turn}", f"guilty {turn}")]
                site.filed(*sent)
                # What is matched again while a matcher is not called any more says that in place of what was first.
                for by, error in house.read('SELECT "by", error FROM fault'):
                    said.setdefault(by, set()).add(error)
        # Everybody's mail is filed, with the links of all other matchers, and only the guilty have the fault.
        for name in BAD:
            links = site.links(name)
            assert len(links) == 3 * TURNS
            assert all("good" in by for by in links.values()), links
            # After three faulty batches it is not called any more.
            linked = {subject for subject, by in links.items() if name in by}
            assert linked <= {f"{word} {turn}" for word in ("fine", "well") for turn in range(TURNS - 1)}
            # To find a mail that hangs takes a deadline each time, and all of them share two processes: the time for it may run out,
            # and the others are matched again below.
            assert linked or name in HANG or watch.slowness > 1.5, name
        print(f"healthy mail, in seconds: alone {_told(quiet)}; beside bad matchers {_told(delays)}")
        assert _p95(delays) < max(HEALTHY * watch.slowness, 2 * _p95(quiet))
        _see_the_faults(site, {by: " | ".join(errors) for by, errors in said.items()}, watch)
        # What comes while they are not called waits for that.
        later = [one for name in BAD for one in site.send(name, f"later than {name}")]
        site.filed(*later, seconds=5)
        house.write("plugins/ours.py", plugin(dict.fromkeys(BAD, "return None"), version="mended"))
        until("all is matched again", 240, lambda: all(name in by for name in BAD for by in site.links(name).values()))
        assert not [row for row in house.faults() if "asks" not in row and "directory" not in row]
        until("no breaker is open", 10, lambda: not _open(house))


def _see_the_faults(site: Site, said: dict[str, str], watch: Stopwatch) -> None:
    house = site.house
    until("the breakers are open", 10, lambda: _open(house) >= {f"{name}/{name}" for name in BAD})
    causes = house.good("queue", "causes", "--all-operators", "--json").rows
    assert {row["by"] for row in causes} >= set(BAD)
    assert "it exited with 3" in said["exits"]
    # On a busy machine its time may be over first.
    assert "memory" in said["hoards"] or (watch.slowness > BUSY / 4 and "in time" in said["hoards"])
    assert "in time: expected within 2 s" in said["sleeps"]
    assert "in time: expected within 2 s" in said["regex"]
    for name in BAD:
        rows = house.good("queue", "list", "--operator", name, "--json").rows
        assert {error["by"] for row in rows for error in row["errors"]} >= {name}
        assert {row["queue"] for row in rows} == {"front-office"}


def _open(house: House) -> set[str]:
    rows = house.good("status", "--json").rows
    return {one for row in rows if row["type"] == "daemon" for one in row["open_breakers"]}


def _p95(delays: list[float]) -> float:
    return statistics.quantiles(delays, n=20)[-1]


def _told(delays: list[float]) -> str:
    return f"{len(delays)} mails, median {statistics.median(delays):.3f}, p95 {_p95(delays):.3f}, most {max(delays):.3f}"


def test_P4_a_directory_that_is_down_and_comes_back_is_asked_again_by_itself(dovecot: Dovecot, tmp_path: Path) -> None:
    site = Site(tmp_path, dovecot)
    site.house.write("plugins/ours.py", plugin())
    for name in ("acme", "nord"):
        site.operator(name, "good", "asks")
    with site.house.daemon():
        site.sign("acme", "down-find").touch()
        site.filed(*site.send("acme", "one", "two"), *site.send("nord", "three"))
        assert sorted(row for row in site.house.faults() if "away" in row) == ["directory: the database is away"] * 2
        assert site.links("acme") == {"one": {"good"}, "two": {"good"}}
        site.sign("acme", "down-find").unlink()
        until("what was filed without it is matched again", 60, lambda: all("asks" in by for by in site.links("acme").values()))
        assert [row for row in site.house.faults() if "away" in row] == []
        assert site.links("nord") == {"three": {"good", "asks"}}


def test_P4_a_directory_that_hangs_keeps_no_other_operators_mail_waiting(dovecot: Dovecot, tmp_path: Path) -> None:
    site = Site(tmp_path, dovecot)
    site.house.write("plugins/ours.py", plugin())
    site.operator("acme", "good", "asks")
    site.sign("acme", "hang-refresh").touch()
    site.operator("nord", "good")
    with site.house.daemon():
        began = time.monotonic()
        site.filed(*site.send("nord", "one"), seconds=10)
        # Its own mail is filed, too, if not at once.
        site.filed(*site.send("acme", "two"), seconds=40)
        assert time.monotonic() - began > 10
        assert site.links("acme") == {"two": {"good", "asks"}}


def test_P4_what_was_filed_while_an_operators_file_was_faulty_is_matched_once_it_is_mended(
    dovecot: Dovecot, tmp_path: Path
) -> None:
    site = Site(tmp_path, dovecot)
    site.house.write("plugins/ours.py", plugin())
    site.operator("acme", "good")
    site.operator("nord", "good")
    good = (site.house.folder / "operators/acme.yaml").read_text()
    site.house.write("operators/acme.yaml", "matchers: [nonesuch]\n")
    with site.house.daemon():
        site.filed(*site.send("acme", "one", "two"), *site.send("nord", "three"))
        assert site.links("acme") == {"one": set(), "two": set()}
        assert {row.partition(":")[0] for row in site.house.faults()} == {"config"}
        assert site.links("nord") == {"three": {"good"}}
        site.house.write("operators/acme.yaml", good)
        until("it is matched again", 20, lambda: site.links("acme") == {"one": {"good"}, "two": {"good"}})
        assert site.house.faults() == []


def test_a_daemon_stops_in_time_while_a_matcher_sleeps_and_its_mail_is_filed_later(dovecot: Dovecot, tmp_path: Path) -> None:
    site = Site(tmp_path, dovecot)
    site.house.write(
        "gatewayd.yaml", f"state: {site.house.state}\nplugins: {{folder: plugins}}\nworkers: {{deadline: 60s, budget: 60s}}\n"
    )
    site.house.write("plugins/ours.py", plugin({"sleeps": WRONG["sleeps"]}))
    site.operator("acme", "good", "sleeps")
    ids = site.send("acme", "guilty")
    with site.house.daemon() as daemon:
        until("the matcher is at it", 20, lambda: site.house.status().get("acme", {}).get("condition") == "working")
        time.sleep(1)
        workers = daemon.workers()
        assert workers
        daemon.stop()
        until("no worker is left", 5, lambda: not [pid for pid in workers if runs(pid)])
    assert not site.house.filed()
    site.house.write("plugins/ours.py", plugin({"sleeps": "return None"}))
    with site.house.daemon():
        site.filed(*ids)
        assert site.links("acme") == {"guilty": {"good", "sleeps"}}
        assert site.house.faults() == []
