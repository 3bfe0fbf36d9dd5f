"""Changed files are taken over while the daemon runs: nobody whose file stands as it is notices, and a faulty file runs as last accepted."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.servers.proxy import FaultProxy
from gatewayd.testing.servers.smtp import SmtpServer
from tests.e2e.house import House, until
from tests.e2e.mailboxes import Mailboxes
from tests.patience import AT_ONCE
from tests.unit.matchers import plugin

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot
    from tests.e2e.house import Daemon

STABLE = ("still", "quiet")
#: Seconds within which a changed file is taken over; a machine that has other things to do takes longer.
TAKEN_OVER, BESIDE_OTHERS = 2, 10
ROUNDS, CAMPAIGN, SEED = 20, 100, 20260106


@pytest.fixture
def house(tmp_path: Path) -> House:
    made = House(tmp_path)
    made.write("plugins/ours.py", plugin())
    for name in ("acme", "nord"):
        made.operator(name, matchers="[good]", persons="id,name,email\n")
    return made


@pytest.fixture
def proxy(dovecot: Dovecot) -> Iterator[FaultProxy]:
    with FaultProxy("127.0.0.1", dovecot.ports["imap"]) as proxy:
        proxy.record = True
        yield proxy


def logins(proxy: FaultProxy) -> int:
    """How often somebody has logged in through the proxy."""
    return len(re.findall(rb"(?i)\b(?:LOGIN|AUTHENTICATE)\b", proxy.sent_by_clients))


def watching(house: House, *accounts: str) -> None:
    def all_watch() -> bool:
        status = house.status()
        return all(status.get(name, {}).get("condition") == "watching" for name in accounts)

    until(f"{accounts} are watched", 20, all_watch)


def logged(daemon: Daemon, line: str) -> int:
    return sum(line in one for one in daemon.log.splitlines())


def reloads(daemon: Daemon) -> int:
    return logged(daemon, "config loaded") + logged(daemon, "config refused")


def more_reloads(daemon: Daemon, before: int) -> bool:
    return reloads(daemon) > before


#: For each kind of file what a faulty and a sound change of it is; a number makes each another one.
FAULTY = {
    "accounts/moving.yaml": "kind: imapp\n",
    "accounts/new.yaml": "kind: imap\nhost: [\n",
    "operators/nord.yaml": "matchers: [nonesuch, good\n",
    "operators/acme.yaml": "brands: 7\n",
    "gatewayd.yaml": "state: [nowhere\n",
    "plugins/ours.py": "raise RuntimeError('half written')\n",
    "plugins/other.py": "def f(:\n",
}


def sound(files: dict[str, str], name: str, number: int) -> str:
    if name == "plugins/ours.py":
        return plugin(version=str(number))
    if name == "plugins/other.py":
        return plugin(version=str(number)).replace('"good"', '"fine"').replace('"asks"', '"says"').replace('"known"', '"other"')
    if name == "gatewayd.yaml":
        return files[name] + f"workers: {{deadline: {5 + number % 5}s}}\n"
    if name == "accounts/new.yaml":
        return (
            files["accounts/moving.yaml"]
            .replace("description: it moves", f"description: new {number}")
            .replace("enabled: true", "enabled: false")
        )
    if name.startswith("accounts/"):
        return files[name].replace("description: it moves", f"description: moved {number}")
    return (
        files[name] + f"title: Title {number}\n" if "title:" not in files[name] else files[name].replace("Tours", f"Tours {number}")
    )


def reload_under_load(house: House, dovecot: Dovecot, proxy: FaultProxy, *, rounds: int, seed: int) -> None:
    rng = random.Random(seed)
    boxes = Mailboxes(house, dovecot)
    for name in STABLE:
        boxes.add(name, port=proxy.port)
    boxes.add("moving")
    moving = house.folder / "accounts/moving.yaml"
    moving.write_text(moving.read_text().replace("import:\n", "description: it moves\nimport:\n  enabled: true\n"))
    files = {name: (house.folder / name).read_text() for name in FAULTY if (house.folder / name).exists()}
    with house.daemon() as daemon:
        watching(house, *STABLE)
        sessions = logins(proxy)
        assert sessions
        with boxes.arriving(8):
            for number in range(rounds):
                name = rng.choice(sorted(FAULTY))
                before = reloads(daemon)
                house.write(name, FAULTY[name] + f"# {number}\n" if number % 2 else sound(files, name, number))
                until(f"round {number}: {name} is taken over", BESIDE_OTHERS, partial(more_reloads, daemon, before))
                # What was faulty is mended now and then, by another file as by itself.
                if number % 4 == 3:
                    for one, text in files.items():
                        if (house.folder / one).read_text() != text:
                            house.write(one, text)
        boxes.filed(seconds=60)
        # The sessions of accounts whose files stand as they are stayed open all the time.
        assert logins(proxy) == sessions
        for one, text in files.items():
            house.write(one, text)
        for one in FAULTY.keys() - files.keys():
            (house.folder / one).unlink(missing_ok=True)
        until(
            "the config is sound again",
            20,
            lambda: not [row for row in house.good("status", "--json").rows if row.get("config_faults")],
        )
        until("all is matched", 60, lambda: house.faults() == [])
        boxes.prove()


@pytest.mark.alone
def test_P4_reloads_under_load_lose_no_mail_and_drop_no_session(house: House, dovecot: Dovecot, proxy: FaultProxy) -> None:
    reload_under_load(house, dovecot, proxy, rounds=ROUNDS, seed=SEED)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(5))
def test_P4_a_hundred_reloads_under_load(house: House, dovecot: Dovecot, proxy: FaultProxy, seed: int) -> None:
    reload_under_load(house, dovecot, proxy, rounds=CAMPAIGN, seed=seed)


def test_accounts_come_change_and_go_while_the_daemon_runs(house: House, dovecot: Dovecot, proxy: FaultProxy) -> None:
    boxes = Mailboxes(house, dovecot)
    boxes.add("still", port=proxy.port)
    with house.daemon() as daemon:
        watching(house, "still")
        sessions = logins(proxy)
        assert sessions
        boxes.add("new")
        began = time.monotonic()
        boxes.send("new")
        boxes.filed("new", seconds=BESIDE_OTHERS)
        print(f"a new account's mail was filed {time.monotonic() - began:.1f} s after its file was written")
        watching(house, "new")
        # One that changed is restarted: its mail is filed on.
        file = house.folder / "accounts/new.yaml"
        file.write_text(file.read_text() + "  every: 50s\n")
        until("the change is taken over", BESIDE_OTHERS, lambda: logged(daemon, "account changed account=new"))
        boxes.send("new")
        boxes.filed("new", seconds=BESIDE_OTHERS)
        # One that is renamed over, as editors do.
        file.with_suffix(".swp").write_text(file.read_text().replace("50s", "51s"))
        file.with_suffix(".swp").rename(file)
        until("the next change is taken over", BESIDE_OTHERS, lambda: logged(daemon, "account changed account=new") == 2)
        file.unlink()
        until("it is let go of", BESIDE_OTHERS, lambda: logged(daemon, "account released account=new"))
        boxes.send("still")
        boxes.filed("still", seconds=BESIDE_OTHERS)
        assert logins(proxy) == sessions


def test_a_folder_that_is_replaced_as_a_whole_is_followed(house: House, dovecot: Dovecot, proxy: FaultProxy) -> None:
    boxes = Mailboxes(house, dovecot)
    boxes.add("still", port=proxy.port)
    folder = house.folder / "accounts"
    with house.daemon() as daemon:
        watching(house, "still")
        sessions = logins(proxy)
        assert sessions
        for turn in range(2):
            shutil.copytree(folder, folder.with_name("accounts.new"))
            folder.rename(folder.with_name("accounts.old"))
            folder.with_name("accounts.new").rename(folder)
            shutil.rmtree(folder.with_name("accounts.old"))
            time.sleep(1.5)
            boxes.add(f"new{turn}")
            boxes.send(f"new{turn}")
            boxes.filed(seconds=BESIDE_OTHERS)
        assert logins(proxy) == sessions
        assert logged(daemon, "account taken account=new")


def test_a_change_while_the_daemon_starts_or_reads_is_not_missed(house: House, dovecot: Dovecot) -> None:
    boxes = Mailboxes(house, dovecot)
    boxes.add("first")
    with house.daemon(ready=False) as daemon:
        for turn in range(12):
            # Until it has started, and while it reads what came before.
            file = house.folder / "accounts/first.yaml"
            text = file.read_text().partition("description:")[0] + f"description: turn {turn}\n"
            file.write_text(text)
            time.sleep(0.1 + 0.05 * (turn % 4))
        daemon.ready()
        boxes.add("last")
        boxes.send("last")
        boxes.filed(seconds=20)
        rows = house.good("status", "--json").rows
        assert {row["account"] for row in rows if row["type"] == "account"} >= {"first", "last"}


def test_a_daemon_that_starts_while_its_only_account_is_being_written_reads_it_once_more(house: House, dovecot: Dovecot) -> None:
    boxes = Mailboxes(house, dovecot)
    boxes.add("only")
    file = house.folder / "accounts/only.yaml"
    whole = file.read_text()
    file.write_text("")
    with house.daemon(ready=False) as daemon:
        # Longer than it takes to start: an editor that empties the file, and a disk that is slow.
        until = time.monotonic() + 3
        while time.monotonic() < until:
            file.write_text(whole[:20])
            time.sleep(0.1)
        assert daemon.process.poll() is None, daemon.log
        file.write_text(whole)
        daemon.ready()
        boxes.send("only")
        boxes.filed(seconds=BESIDE_OTHERS)


def test_SIGHUP_takes_over_what_no_watch_can_see(house: House, dovecot: Dovecot, tmp_path: Path) -> None:
    boxes = Mailboxes(house, dovecot)
    boxes.add("linked")
    file, real = house.folder / "accounts/linked.yaml", tmp_path / "linked.yaml"
    file.rename(real)
    file.symlink_to(real)
    with house.daemon() as daemon:
        watching(house, "linked")
        text, seen = real.read_text(), 0
        for every in (50, 51):
            real.write_text(f"{text}  every: {every}s\n")
            time.sleep(1)
            before, seen = seen, logged(daemon, "account changed")
        # Once its watch stands the daemon looks for what came before: that may have been after the first change.
        assert seen == before
        daemon.signal(signal.SIGHUP)
        until("it is taken over", BESIDE_OTHERS, lambda: logged(daemon, "account changed account=linked") > seen)
        for _ in range(20):
            daemon.signal(signal.SIGHUP)
            time.sleep(0.02)
        boxes.send("linked")
        boxes.filed(seconds=BESIDE_OTHERS)


def test_a_restart_with_a_faulty_file_runs_all_others_and_that_one_as_last_accepted(house: House, dovecot: Dovecot) -> None:
    boxes = Mailboxes(house, dovecot)
    for name in ("faulty", "sound"):
        boxes.add(name)
    with house.daemon():
        boxes.send("faulty")
        boxes.send("sound")
        boxes.filed(seconds=20)
    house.write("accounts/faulty.yaml", "kind: imapp\n")
    house.write("accounts/never.yaml", "kind: imap\n")
    with house.daemon():
        boxes.send("faulty")
        boxes.send("sound")
        boxes.filed(seconds=20)
        until("all are told", 10, lambda: "never" in house.status())
        status = house.status()
        assert "accounts/faulty.yaml:1:1" in status["faulty"]["error"]
        assert "it runs as last accepted" in status["faulty"]["error"]
        assert status["never"]["condition"] == "faulty"
        assert not status["sound"]["error"]


def test_a_faulty_main_file_ends_the_start_with_78_and_changes_nothing_while_it_runs(house: House, dovecot: Dovecot) -> None:
    boxes = Mailboxes(house, dovecot)
    boxes.add("sound")
    main = house.folder / "gatewayd.yaml"
    good = main.read_text()
    with house.daemon() as daemon:
        watching(house, "sound")
        main.write_text("state: [nowhere\n")
        until("it is refused", BESIDE_OTHERS, lambda: logged(daemon, "config refused"))
        boxes.send("sound")
        boxes.filed(seconds=BESIDE_OTHERS)
        daemon.signal(signal.SIGTERM)
        assert daemon.process.wait(AT_ONCE) == 0
    done = house.run("run", environment=dict(os.environ), timeout=30)
    assert done.code == 78
    assert "gatewayd.yaml:2:1" in done.err
    main.write_text(good)


@pytest.mark.parametrize("broken", ["log: {level: [\n", "stat: nowhere\n", None])
def test_while_the_main_file_is_faulty_people_go_on_and_everybody_is_told(
    house: House, dovecot: Dovecot, broken: str | None
) -> None:
    boxes = Mailboxes(house, dovecot)
    boxes.add("sound")
    main = house.folder / "gatewayd.yaml"
    good = main.read_text()
    with house.daemon() as daemon:
        watching(house, "sound")
        boxes.send("sound")
        boxes.filed("sound", seconds=20)
        (mail,) = house.good("mail", "list", "--operator", "acme", "--json").rows[:1]
        if broken is None:
            main.unlink()
        else:
            main.write_text(good + broken)
        environment = {"STATE_DIRECTORY": str(house.state)} if broken is None else None
        until("it is refused", BESIDE_OTHERS, lambda: logged(daemon, "config refused"))
        for command in (("mail", "list"), ("mail", "show", mail["id"]), ("mail", "read", mail["id"]), ("queue", "causes")):
            done = house.run(*command, "--operator", "acme", environment=environment)
            assert done.code == 0, done.err
            assert "taken as last accepted: gatewayd.yaml" in done.err
        checked = house.run("check", environment=environment)
        assert checked.code == 78
        assert "gatewayd.yaml" in checked.err

        def told() -> bool:
            status = house.run("status", "--json", environment=environment)
            assert status.code == 1
            rows = {row["type"]: row for row in status.rows}
            assert rows["fault"]["file"] == "gatewayd.yaml"
            assert rows["account"]["condition"] in {"working", "watching"}
            return any("gatewayd.yaml" in fault for fault in rows["daemon"]["config_faults"])

        until("the daemon has told", 20, told)
        main.write_text(good)
        until("it is taken over", BESIDE_OTHERS, lambda: logged(daemon, "config loaded") > 1)
        until("nothing is wrong", 20, lambda: house.run("status").code == 0)


def test_the_log_s_level_is_changed_without_a_restart(house: House, dovecot: Dovecot) -> None:
    boxes = Mailboxes(house, dovecot)
    boxes.add("sound")
    main = house.folder / "gatewayd.yaml"
    good = main.read_text()
    with house.daemon() as daemon:
        watching(house, "sound")
        main.write_text(good + "log: {level: error}\n")
        until("nothing more is said", BESIDE_OTHERS, lambda: not house.run("check", "--only-files").code)
        time.sleep(1)
        before = daemon.log
        boxes.send("sound")
        boxes.filed(seconds=BESIDE_OTHERS)
        assert daemon.log == before
        main.write_text(good + "log: {level: debug, format: json}\n")
        until("all is said, as JSON", BESIDE_OTHERS, lambda: '"event": "config loaded"' in daemon.log)
        assert "restart" not in daemon.log


@pytest.mark.campaign
def test_a_person_is_told_that_an_account_stops_and_that_it_is_over(house: House, dovecot: Dovecot) -> None:
    boxes = Mailboxes(house, dovecot)
    boxes.add("sound")
    boxes.add("stops")
    good = (house.folder / "accounts/stops.yaml").read_text()
    with SmtpServer() as smtp:
        house.write(
            "accounts/out.yaml",
            f"kind: smtp\noperators: [acme]\nhost: localhost\nport: {smtp.port}\nsecurity: none\ninsecure: true\n"
            "send: {from: {address: system@acme.example}}\n",
        )
        more = "administrators: {ada: {email: ada@example.com}}\nnotify: {through: out}\n"
        house.write("gatewayd.yaml", (house.folder / "gatewayd.yaml").read_text() + more)
        with house.daemon():
            watching(house, "sound", "stops")
            house.write("wrong", "wrong\n")
            house.write("accounts/stops.yaml", good.replace("!file secret", "!file wrong"))
            until("a person is told", 100, lambda: smtp.messages)
            assert b"account stops needs you" in smtp.messages[0].data
            house.write("accounts/stops.yaml", good)
            until("a person is told that it is over", 100, lambda: len(smtp.messages) == 2)
            assert b"account stops well again" in smtp.messages[1].data
