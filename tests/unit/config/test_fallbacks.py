"""What can stand in for a faulty file: its copy, or what runs, if it fits the plugins and the other files of today."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from gatewayd import config
from tests.unit.config.accepted_folder import ACME, FAKES, FAULTY, SALES, kept_copies, write

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@pytest.mark.parametrize("kind", ["folder", "broken link", "too large"])
def test_what_can_not_be_read_runs_as_last_accepted(folder: Path, accepted: config.Config, kind: str) -> None:
    path = folder / "accounts" / "sales.yaml"
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "broken link":
        path.symlink_to("nowhere")
    else:
        path.write_text("#" * (1 << 20) + "\n" + SALES)
    running = config.running(folder)
    assert (running.accounts, running.standing_in) == (accepted.accounts, ("accounts/sales.yaml",))
    config.accept(running)
    assert kept_copies(folder)["accounts/sales.yaml"] == SALES.encode()


def test_a_folder_that_can_not_be_listed_runs_as_last_accepted(folder: Path, accepted: config.Config) -> None:
    shutil.rmtree(folder / "accounts")
    (folder / "accounts").write_text("")
    running = config.running(folder)
    assert running.accounts == accepted.accounts
    assert running.standing_in == ("accounts/irina.yaml", "accounts/sales.yaml")
    assert str(running.faults[0]) == "accounts: can't be read: Not a directory"
    config.accept(running)
    assert config.running(folder).accounts == accepted.accounts
    shutil.rmtree(folder / "state" / "accepted" / "accounts")
    (folder / "state" / "accepted" / "accounts").write_text("")
    assert config.running(folder).accounts == {}


def test_a_copy_that_is_no_longer_sound_gives_way_to_what_runs(folder: Path, accepted: config.Config) -> None:
    write(folder, {"accounts/sales.yaml": FAULTY, "operators/acme.yaml": FAULTY})
    for copy in ("accounts/sales.yaml", "operators/acme.yaml"):
        (folder / "state" / "accepted" / copy).write_text("titel: Acme\n")
    running = config.running(folder, accepted)
    assert (running.accounts, running.operators) == (accepted.accounts, accepted.operators)
    assert running.standing_in == ("accounts/sales.yaml", "operators/acme.yaml")
    restarted = config.running(folder)
    assert sorted(restarted.accounts) == ["irina"]
    assert restarted.operators["acme"].faulty
    assert restarted.standing_in == ()


def test_what_runs_does_not_stand_in_where_it_no_longer_fits_the_plugins(folder: Path, accepted: config.Config) -> None:
    code = FAKES.read_text()
    write(folder, {"plugins/fakes.py": code.replace("digits: tuple", "numbers: tuple").replace("loft:", "house:")})
    running = config.running(folder, accepted)
    assert running.operators["acme"].faulty
    assert running.accounts == {}
    assert running.standing_in == ()
    write(folder, {"plugins/fakes.py": code.replace("folder: ConfigPath", "place: ConfigPath")})
    assert config.running(folder, accepted).operators["acme"].faulty


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ({"operators/acme.yaml": ACME.replace("irina:", "ivan:")}, ["sales"]),
        ({"operators/acme.yaml": None, "operators/other.yaml": "title: Other\n"}, []),
    ],
)
def test_P6_who_sees_mail_is_decided_by_the_files_and_not_by_what_runs(
    folder: Path, accepted: config.Config, change: Mapping[str, str | None], left: list[str]
) -> None:
    for name, text in change.items():
        (folder / name).unlink() if text is None else write(folder, {name: text})
    running = config.running(folder, accepted)
    assert sorted(running.accounts) == left
    assert running.standing_in == ()
