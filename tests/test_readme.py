"""README and docs/operations.md, done by the book: every block is a file that is used or a command that is run.

What only systemd can do is done by ``World.systemctl`` here, and by a real systemd in ``tests/e2e/test_systemd.py``: each such
line of the pages is one of that test's.
"""

from __future__ import annotations

import ast
import re
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from gatewayd import cli
from gatewayd.testing.servers.smtp import SmtpServer
from tests.e2e.house import ROOT
from tests.world import PASSWORD, UNIT, URGENT, USER, World, blocks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot

README = ROOT / "README.md"
OPERATIONS = ROOT / "docs" / "operations.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]

#: Read by gatewayd itself, in the commands that follow them.
CONFIG = ["accounts/reservations.yaml", "accounts/acme-out.yaml", "operators/acme.yaml", "plugins/vouchers.py"]
#: Read by systemd.
DROP_INS = [f"{UNIT}.d/home.conf", f"{UNIT}.d/secrets.conf"]

BLOCKS = [*blocks(README), *blocks(OPERATIONS)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, dovecot: Dovecot) -> Iterator[World]:
    with SmtpServer("tls", users={USER: PASSWORD}) as smtp:
        world = World(tmp_path_factory.mktemp("root"), dovecot, smtp)
        try:
            for block in BLOCKS:
                world.follow(block)
            yield world
        except BaseException:
            print(world.log)
            raise
        finally:
            world.stop()


def said(world: World, words: str) -> str:
    """What the only block said that has these words."""
    (found,) = [text for block, text in world.said.items() if words in block]
    return found


# --- README -----------------------------------------------------------------------------------------------------------


def test_it_fits_two_screens_and_shows_two_commands_as_set_up() -> None:
    assert len(README.read_text().splitlines()) <= 90
    assert [line.partition("#")[0].strip() for line in blocks(README)[0].text.splitlines()] == ["./gw demo", "./gw test"]
    assert len(re.findall(r"^\./gw .*", README.read_text(), re.MULTILINE)) == 2


def test_every_file_that_is_shown_is_read_by_somebody() -> None:
    config = [f"/etc/gatewayd/{name}" for name in CONFIG]
    assert [block.name for block in BLOCKS if block.name] == [*config, *DROP_INS]


def test_the_two_commands_of_the_set_up_work(world: World) -> None:
    shown = said(world, "./gw demo")
    assert re.search(r"All \d+ filings are there", shown)
    assert "tests/test_readme.py" in shown


def test_what_is_installed_is_this_version_and_not_the_checkout(world: World) -> None:
    shown = world.said["plugins"]
    assert len(re.findall(r"gatewayd \d+\.\d+\.\d+\S* .*ok *$", shown, re.MULTILINE)) == 13
    assert re.search(r"vouchers .*matchers: vouchers +ok", shown)
    where = world.said["where"]
    assert str(ROOT) not in where.replace(str(world.root), "")
    assert where.count(str(world.root)) == 2


def test_the_config_is_checked_and_the_daemon_imports_and_links_by_itself(world: World) -> None:
    shown = said(world, "check --online")
    assert "2 accounts, 1 operator, 0 faults. Nothing failed online." in shown
    assert "reservations: ok" in shown
    assert "acme-out: ok" in shown
    assert re.search(r"^reservations +watching +\d+s ago +\d+s ago ", shown, re.MULTILINE), shown
    assert re.search(r"^Daemon .*: version 0", shown, re.MULTILINE), shown
    assert re.search(r"Voucher V12345678 +customer .*reservation 12345678 Rome in May", shown), shown


def test_the_answer_goes_to_who_wrote_and_the_rule_sends_on_what_came_new(world: World) -> None:
    (answer,) = world.sent_to("anna@nord.example")
    assert b"\r\nSubject: Re: Voucher V12345678\r\n" in answer.data
    assert b"\r\nIn-Reply-To: <v@nord.example>\r\n" in answer.data
    assert b"Your voucher is valid." in answer.data
    # The second time after the backup was restored, from before the mail came.
    for forward in world.sent_to("duty@example.com"):
        assert URGENT in forward.data
    assert len(world.smtp.messages) == 3


def test_what_only_systemd_can_do_is_done_by_a_real_one_in_another_test(world: World) -> None:
    assert len(world.by_systemd) > 5
    assert sorted({*world.by_systemd} - {*_done_by_systemd()}) == []


def _done_by_systemd() -> Iterator[str]:
    """The commands that test_systemd runs in its machine: what it gives to ``good``."""
    for node in ast.walk(ast.parse((ROOT / "tests/e2e/test_systemd.py").read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "good":
            texts = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            yield from (line.strip() for text in texts for line in text.split(";"))


def test_the_matcher_is_the_one_of_the_page_about_matchers() -> None:
    (shown,) = [block.text for block in blocks(README) if block.name.endswith("vouchers.py")]
    (page,) = [block.text for block in blocks(ROOT / "docs/writing-a-matcher.md") if block.name == "plugins/vouchers.py"]
    assert shown == page


# --- docs/operations.md -----------------------------------------------------------------------------------------------


def test_the_unit_is_right_with_the_files_beside_it(world: World) -> None:
    assert world.said["verify"] == ""
    shown = world.said["unit"]
    assert "User=gatewayd\n" in shown
    for name in DROP_INS:
        assert f"# {world.path(name)}\n" in shown


def test_commands_beside_the_daemon_ask_it(world: World) -> None:
    assert re.search(r"^reservations +0 +0 +0 ", said(world, "gatewayd import --dry-run"), re.MULTILINE)
    assert "request answered account=reservations" in world.said["log"]


def test_the_daemon_was_ended_and_started_cleanly_each_time(world: World) -> None:
    started, ended = (world.said["log"].count(f" daemon {word} ") for word in ("started", "stopped"))
    assert started == ended == sum(line.split()[1] in {"enable", "start", "restart"} for line in world.by_systemd)
    assert not re.findall(r"^.* (?:warning|error) .*$", world.said["log"], re.MULTILINE)
    assert "config loaded" in world.said["log"]


def test_a_backup_that_is_restored_takes_in_what_came_since(world: World) -> None:
    assert world.said["after the backup"].count("\n") == 8
    restored = said(world, ".db-wal")
    assert "Custody is proven." in restored
    assert "7 filed" in restored
    for path in ("/var/backups/gatewayd.db", "/var/lib/gatewayd/store/gatewayd.db"):
        assert world.path(path).stat().st_mode & 0o077 == 0, f"{path} can be read by others"


def test_nothing_is_left_of_the_program_when_it_is_removed(world: World) -> None:
    assert not list(world.path("/etc/systemd").rglob("gatewayd.service"))
    assert not list(world.path("/usr/local").rglob("*gatewayd*"))
    assert world.path("/var/lib/gatewayd/store/gatewayd.db").exists()


def test_every_error_that_is_explained_is_said_by_the_code() -> None:
    table = OPERATIONS.read_text().partition("| it says | so |")[2].partition("\n\n")[0]
    code = "".join(path.read_text() for folder in ("gatewayd", "plugins") for path in (ROOT / folder).rglob("*.py"))
    words = [word for row in table.splitlines()[2:] for word in re.findall(r"`([^`]+)`", row.split("|")[1])]
    assert len(words) > 20
    assert [word for word in words if word not in code] == []


# --- all pages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_is_named_exists(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for program, words in sorted(commands(page)):
        if program == "gw" and f"\n{words[0]}" in (ROOT / "gw").read_text().replace(" | ", "\n"):
            continue
        assert cli.run([*words, "--help"]) == 0, f"{program} {' '.join(words)}"
    capsys.readouterr()


def commands(page: Path) -> set[tuple[str, tuple[str, ...]]]:
    """The commands of gw and gatewayd that a page names, without what they are given."""
    shown = [line for block in blocks(page) if block.language in {"sh", "cron"} for line in block.text.splitlines()]
    named = [code for code in re.findall(r"`([^`\n]+)`", page.read_text()) if code.startswith(("./gw ", "gatewayd "))]
    group = r"(?:mail|queue|outbox|directory|plugins) [a-z]+|[a-z]+"
    found = [re.search(rf"(?:^|/|-- )(gw|gatewayd)(?: --config \S+)? ({group})(?![\w/])", line) for line in [*shown, *named]]
    return {(one[1], tuple(one[2].split())) for one in found if one}


def test_every_name_of_the_way_of_one_mail_exists() -> None:
    names = set(re.findall(r"`((?:gatewayd|gatewayd_[a-z]+)\.[\w.]+)`", (ROOT / "docs/flow.md").read_text()))
    assert len(names) > 30
    assert [name for name in names if not _exists(name.split("."))] == []


def _exists(parts: list[str]) -> bool:
    for cut in range(len(parts), 0, -1):
        try:
            found: object = import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            found = getattr(found, part, None)
        return found is not None
    return False
