"""The words of the command line: each has its module, which is imported only when the word is asked for."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import gatewayd
from gatewayd import cli

if TYPE_CHECKING:
    from collections.abc import Iterator

CLI = Path(cli.__file__).parent

#: Subcommands of ``mail`` that have a module of their own.
WITHIN = {"writing"}


def _commands() -> Iterator[tuple[str, str]]:
    for path in CLI.glob("*.py"):
        commands = getattr(import_module(f"gatewayd.cli.{path.stem}"), "COMMANDS", ()) if path.stem not in WITHIN else ()
        yield from ((command.name, path.stem) for command in commands)


def test_every_command_of_every_module_is_a_word() -> None:
    assert sorted(_commands()) == sorted(cli._MODULES.items())


@pytest.mark.parametrize("word", cli._MODULES)
def test_a_word_that_is_asked_for_is_its_command(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([word, "--help"]) == 0
    assert f"Usage: gatewayd {word}" in capsys.readouterr().out


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out == f"gatewayd, version {gatewayd.__version__}\n"


def test_a_word_that_is_nearly_one_of_ours_is_pointed_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["inport"]) == 2
    assert "import" in capsys.readouterr().err


def test_import_imports_no_other_commands_nor_what_only_others_need() -> None:
    code = "import sys; from gatewayd import cli; cli.run(['import', '--help']); print(*sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = set(done.stderr.split())
    assert "gatewayd.cli.visits" in modules
    others = {f"gatewayd.cli.{name}" for name in cli._MODULES.values()} - {"gatewayd.cli.visits"}
    assert not modules & (
        others
        | {
            "gatewayd.desk.desk",
            "gatewayd.daemon.process",
            "gatewayd.outgoing.outbox",
            "gatewayd.config.schema",
            "sqlalchemy",
            "rich",
        }
    )


def test_a_bug_that_a_word_meets_is_not_taken_for_an_unknown_word() -> None:
    code = """
import sys
class Broken:
    def find_spec(self, name, path, target=None):
        if name == "gatewayd.cli.status":
            raise KeyError("a bug")
from gatewayd import cli
sys.meta_path.insert(0, Broken())
cli.run(["status"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "KeyError: 'a bug'" in done.stderr


def test_what_the_system_refuses_without_naming_a_file_is_said_in_its_words_and_not_blamed_on_the_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert cli.run(["--config", ".", "plugins", "list"]) == 1
    told = capsys.readouterr()
    assert told.err.startswith("gatewayd: the system refuses: FileNotFoundError: [Errno 2] No such file or directory")
    assert (told.out, told.err.count("\n")) == ("", 1)
