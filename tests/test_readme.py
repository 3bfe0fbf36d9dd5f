"""README and docs/operations.md, done by the book: every block is a file that is used or a command that is run.

Their commands run in a folder that stands for ``/``, as one user, against a real server. What is replaced stands in
``World.local``, and nothing else is.
"""

from __future__ import annotations

import getpass
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from configparser import ConfigParser
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from gatewayd import cli
from gatewayd.testing.messages import booking_messages
from tests.e2e.house import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewayd.testing.servers import Dovecot

README = ROOT / "README.md"
OPERATIONS = ROOT / "docs" / "operations.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]

UNITS = "/etc/systemd/system"
SERVICE, TIMER = f"{UNITS}/gatewayd-import.service", f"{UNITS}/gatewayd-import.timer"
CRON = "/etc/cron.d/gatewayd"
#: Read by gatewayd itself, in the commands that follow them.
CONFIG = ["gatewayd.yaml", "accounts/reservations.yaml", "operators/acme.yaml", "plugins/vouchers.py"]
#: Read by systemd.
READ_BY_SYSTEMD = [SERVICE, TIMER, f"{SERVICE}.d/secrets.conf"]

SYSTEMD = "by systemd" if shutil.which("systemd-analyze") and shutil.which("systemctl") else "parsed only: there is no systemd"

VOUCHER = b"From: Anna <anna@nord.example>\r\nTo: reservations@example.com\r\nSubject: Voucher V12345678\r\nMessage-ID: <v@nord.example>\r\n\r\nHi\r\n"


class Block(NamedTuple):
    page: Path
    language: str
    #: The file that it is; empty for commands.
    name: str
    text: str


def blocks(page: Path) -> list[Block]:
    found = re.findall(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    assert page.read_text().count("```") == 2 * len(found), f"{page.name}: a block without a language"
    return [Block(page, *one) for one in found]


BLOCKS = [*blocks(README), *blocks(OPERATIONS)]


class World:
    """A folder that stands for ``/``, in which the pages are followed from top to bottom."""

    def __init__(self, folder: Path, dovecot: Dovecot) -> None:
        self.root = folder
        self.dovecot = dovecot
        #: What each block of commands said.
        self.said: dict[str, str] = {}
        for name in ("etc/cron.d", "usr/local/bin", "usr/local/lib", "var/lib", "var/backups"):
            (self.root / name).mkdir(parents=True)
        for name in ("passwd", "group"):
            (self.root / "etc" / name).touch()

    def path(self, name: str) -> Path:
        return self.root / name.lstrip("/")

    def local(self, text: str) -> str:
        """The text of a block as it is done here."""
        me = getpass.getuser()
        python = f"lib/python3.{sys.version_info.minor}/site-packages"
        replaced = {
            # Paths below this folder.
            r"(?<![\w/.])/(?=(etc|usr/local|var)/)": f"{self.root}/",
            # A set-up within the set-up, and tests within the test.
            r"\./gw demo": f"{sys.executable} -m gatewayd demo --once",
            r"\./gw test": f"{sys.executable} -m tests.run --collect-only -q tests/test_readme.py",
            # What is installed here is there without the network, at the versions that the lock file says or not at all.
            r"python3 -m venv (\S+)": rf"\g<0>; echo {sysconfig.get_path('purelib')} >\1/{python}/here.pth",
            # One user for all, made in this folder's passwd; where that is not allowed, that is all that may be wrong.
            r"useradd( .*)": rf"useradd --prefix {self.root}\1" if os.geteuid() == 0 else r"useradd\1 2>&1 | grep -i denied",
            r"runuser -u gatewayd -- ": "",
            r"-o gatewayd": f"-o {me}",
            r"systemctl enable --now": f"systemctl --root={self.root} enable" if SYSTEMD == "by systemd" else "echo",
            # A server that is really there.
            r"host: imap\.example\.com": f"host: localhost\nport: {self.dovecot.ports['imaps']}\nca_file: {self.dovecot.ca_file}",
        }
        for old, new in replaced.items():
            text = re.sub(old, new, text)
        return text

    def write(self, block: Block) -> None:
        path = self.path(block.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.local(block.text))

    def run(self, text: str, **more: str) -> str:
        programs = [self.root / "usr/local/bin", Path(sys.executable).parent, os.environ["PATH"], "/usr/sbin"]
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("GATEWAYD", "PYTHON", "COVERAGE"))},
            "PATH": os.pathsep.join(map(str, programs)),
            "GATEWAYD_CONFIG": str(self.path("/etc/gatewayd")),
            "PIP_NO_INDEX": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "COLUMNS": "250",
            **more,
        }
        command = ["sh", "-eu", "-c", self.local(text)]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280, check=False)
        assert done.returncode == 0, f"{text}\nended with {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    # --- what a person does between the blocks ----------------------------------------------------------------------

    def fill_in(self) -> None:
        """The password and the directory that README speaks of, and a mailbox with mail."""
        user = "reservations@example.com"
        self.dovecot.user(user, "a secret")
        self.dovecot.deliver(user, [VOUCHER, *booking_messages(2)])
        self.path("/etc/gatewayd/secrets/reservations").write_text("a secret\n")
        shutil.copytree(ROOT / "config/acme", self.path("/etc/gatewayd/acme"))
        with self.path("/etc/gatewayd/acme/reservations.csv").open("a") as file:
            file.write("R9,12345678,Rome in May\n")

    def work_on(self) -> None:
        """Mail that comes after the backup."""
        self.dovecot.deliver("reservations@example.com", booking_messages(4, seed=2))
        self.said["after the backup"] = self.run("gatewayd import")

    def before(self, block: Block) -> Callable[[], None]:
        steps = {"check --online": self.fill_in, ".db-wal": self.work_on}
        return next((step for words, step in steps.items() if words in block.text and not block.name), lambda: None)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, dovecot: Dovecot) -> World:
    world = World(tmp_path_factory.mktemp("root"), dovecot)
    for block in BLOCKS:
        world.before(block)()
        if block.name:
            world.write(block)
        else:
            assert block.language == "sh", f"{block.page.name} shows a block that is neither a file nor commands: {block.text}"
            world.said[block.text] = world.run(block.text)
    return world


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
    assert [block.name for block in BLOCKS if block.name] == [*config, SERVICE, TIMER, CRON, READ_BY_SYSTEMD[2]]


def test_the_two_commands_of_the_set_up_work(world: World) -> None:
    shown = said(world, "./gw demo")
    assert "All 22 filings are there" in shown
    assert "tests/test_readme.py" in shown


def test_what_is_installed_is_this_version_and_not_the_checkout(world: World) -> None:
    shown = world.run("gatewayd plugins list")
    assert len(re.findall(r"gatewayd \d+\.\d+\.\d+ .*ok *$", shown, re.MULTILINE)) == 7
    assert re.search(r"vouchers .*matchers: vouchers +ok", shown)
    python = world.path("/usr/local/lib/gatewayd/bin/python")
    where = world.run(f"cd / && {python} -c 'import gatewayd, gatewayd_sql; print(gatewayd.__file__, gatewayd_sql.__file__)'")
    assert str(ROOT) not in where.replace(str(world.root), "")
    assert where.count(str(world.root)) == 2


def test_the_config_is_checked_and_mail_is_imported_and_linked(world: World) -> None:
    shown = said(world, "check --online")
    assert "1 account, 1 operator, 0 faults. 0 accounts failed online." in shown
    assert "reservations: ok" in shown
    assert re.search(r"^reservations +3 +3 +0 +0 +0 +0 +0 *$", shown, re.MULTILINE), shown
    assert re.search(r"Voucher V12345678 +customer .*reservation 12345678 Rome in May", shown), shown


def test_the_matcher_is_the_one_of_the_page_about_matchers() -> None:
    (shown,) = [block.text for block in blocks(README) if block.name.endswith("vouchers.py")]
    (page,) = [block.text for block in blocks(ROOT / "docs/writing-a-matcher.md") if block.name == "plugins/vouchers.py"]
    assert shown == page


# --- docs/operations.md -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [SYSTEMD])
def test_the_units_are_right(world: World, how: str) -> None:
    for name in READ_BY_SYSTEMD:
        unit = ConfigParser(interpolation=None)
        unit.optionxform = str  # type: ignore[assignment, method-assign]
        unit.read_string(world.path(name).read_text())
        assert "[Service]" in world.path(name).read_text() or "Timer" in unit
    if how == "by systemd":
        units = f"{world.path(SERVICE)} {world.path(TIMER)}"
        shown = world.run(f"systemd-analyze verify --recursive-errors=yes {units}", SYSTEMD_UNIT_PATH=f"{world.path(UNITS)}:")
        assert shown == ""
        assert "LoadCredential" in world.run(
            f"systemd-analyze cat-config --root={world.root} systemd/system/gatewayd-import.service"
        )
        assert (world.path(UNITS) / "timers.target.wants/gatewayd-import.timer").is_symlink()
    (command,) = re.findall(r"^ExecStart=(.*)$", world.path(SERVICE).read_text(), re.MULTILINE)
    assert "reservations" in world.run(command)


def test_cron_s_line_is_quiet_where_all_is_well(world: World) -> None:
    text = world.path(CRON).read_text()
    found = re.fullmatch(r"((?:[*/\d,-]+ ){5})gatewayd (.*)\n", text)
    assert found, text
    assert world.run(found[2]) == ""


def test_a_backup_that_is_restored_takes_in_what_came_since(world: World) -> None:
    assert re.search(r"^reservations +4 +4 ", said(world, "after the backup"), re.MULTILINE)
    restored = said(world, ".db-wal")
    assert re.search(r"^reservations +4 +4 ", restored, re.MULTILINE), restored
    assert "Custody is proven." in restored
    assert "7 filed" in restored
    for path in ("/var/backups/gatewayd.db", "/var/lib/gatewayd/gatewayd.db"):
        assert world.path(path).stat().st_mode & 0o077 == 0, f"{path} can be read by others"


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
    group = r"(?:mail|queue|directory|plugins) [a-z]+|[a-z]+"
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
