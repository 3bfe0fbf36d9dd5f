"""Starting is reloading against the last good config, which the state folder keeps file by file."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatewayd import config
from gatewayd.api.options import Secret
from gatewayd.api.roles import Matcher
from gatewayd.errors import ConfigError
from gatewayd.registry import loading
from tests.unit.config.accepted_folder import ACME, FAKES, FAULTY, FILES, IRINA, MAIN, SALES, kept_copies, write


def test_a_faulty_file_runs_as_last_accepted_also_after_a_restart(folder: Path, accepted: config.Config) -> None:
    write(folder, {"accounts/sales.yaml": FAULTY, "operators/acme.yaml": "titel: Acme\n"})
    for previous in (accepted, None):
        running = config.running(folder, previous)
        assert running.accounts == accepted.accounts
        assert running.operators == accepted.operators
        assert running.standing_in == ("accounts/sales.yaml", "operators/acme.yaml")
        assert [str(fault).partition(":")[0] for fault in running.faults] == ["accounts/sales.yaml", "operators/acme.yaml"]
        assert config.changes(accepted, running) == config.Changes()


def test_the_faults_are_those_of_the_file_and_not_of_its_copy(folder: Path, accepted: config.Config) -> None:
    assert accepted.accounts
    write(folder, {"accounts/sales.yaml": "\n\n" + SALES + "lofts: roof\n"})
    assert [str(fault) for fault in config.running(folder).faults] == [
        "accounts/sales.yaml:7:1: unknown key 'lofts', did you mean 'loft'?"
    ]


def test_what_was_never_accepted_waits(folder: Path, accepted: config.Config) -> None:
    new = {"accounts/new.yaml": FAULTY, "operators/new.yaml": "titel: New\nusers: {ann: {name: Ann, email: ann@example.com}}\n"}
    write(folder, new)
    running = config.running(folder, accepted)
    assert sorted(running.accounts) == ["irina", "sales"]
    assert running.operators["new"].faulty
    assert running.standing_in == ()
    config.accept(running)
    assert sorted(kept_copies(folder)) == sorted({*FILES, "plugins/fakes.py", "folder"})


def test_relative_paths_in_a_copy_count_from_the_config_folder(folder: Path, accepted: config.Config) -> None:
    assert accepted.folder == folder
    write(folder, {"accounts/sales.yaml": FAULTY, "operators/acme.yaml": FAULTY})
    running = config.running(folder)
    assert dict(running.accounts["sales"].options)["ring"] == Secret("file", str(folder / "secrets" / "ring"))
    directory = running.operators["acme"].directory_options
    assert directory
    assert directory.model_dump() == {"folder": folder / "cards"}


def test_P9_copies_are_what_people_wrote_and_nobody_else_reads_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch, accepted: config.Config
) -> None:
    monkeypatch.setenv("RING", "hunter2")
    write(folder, {"secrets/ring": "hunter2"})
    config.accept(accepted)
    copies = kept_copies(folder)
    assert {name: copies[name].decode() for name in FILES} == FILES
    assert not [name for name, raw in copies.items() if b"hunter2" in raw]
    root = folder / "state" / "accepted"
    modes = {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in (root, *root.rglob("*"))}
    assert modes == {(True, 0o700), (False, 0o600)}


def test_only_what_changed_is_written(folder: Path, accepted: config.Config) -> None:
    root = folder / "state" / "accepted"
    before = {path: path.stat().st_ino for path in root.rglob("*")}
    write(folder, {"accounts/sales.yaml": SALES.replace("roof", "tower")})
    config.accept(config.running(folder, accepted))
    after = {path: path.stat().st_ino for path in root.rglob("*")}
    assert {path for path in after if after[path] != before.get(path)} == {root / "accounts" / "sales.yaml"}
    assert b"tower" in kept_copies(folder)["accounts/sales.yaml"]


def test_a_folder_of_copies_is_synced_once_however_many_are_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, {f"accounts/more-{number}.yaml": SALES for number in range(20)})
    running, synced = config.running(folder), list[Path]()
    monkeypatch.setattr("os.fsync", lambda number: synced.append(Path(f"/proc/self/fd/{number}").readlink()))
    config.accept(running)
    accounts = running.state / "accepted" / "accounts"
    assert sum(path.parent == accounts for path in synced) == 22
    # A file that is in the folder when it is synced is on the disk with its name.
    assert synced.count(accounts) == 1
    assert synced.index(accounts) > max(index for index, path in enumerate(synced) if path.parent == accounts)


def test_a_file_that_is_gone_is_gone(folder: Path, accepted: config.Config) -> None:
    (folder / "accounts" / "sales.yaml").unlink()
    running = config.running(folder, accepted)
    assert sorted(running.accounts) == ["irina"]
    config.accept(running)
    assert "accounts/sales.yaml" not in kept_copies(folder)
    write(folder, {"accounts/sales.yaml": FAULTY})
    assert "sales" not in config.running(folder).accounts


def test_a_file_that_changed_since_it_was_read_keeps_its_older_copy(folder: Path, accepted: config.Config) -> None:
    write(folder, {"accounts/sales.yaml": SALES + "height: 2\n", "accounts/irina.yaml": IRINA + "height: 2\n"})
    running = config.running(folder, accepted)
    assert running.faults == ()
    write(folder, {"accounts/sales.yaml": FAULTY})
    (folder / "accounts" / "irina.yaml").unlink()
    config.accept(running)
    copies = kept_copies(folder)
    assert copies["accounts/sales.yaml"] == SALES.encode()
    assert copies["accounts/irina.yaml"] == IRINA.encode()


def test_a_file_that_says_nothing_and_is_sound_is_accepted(folder: Path, accepted: config.Config) -> None:
    write(folder, {"operators/acme.yaml": "{}\n", "accounts/irina.yaml": SALES})
    running = config.running(folder, accepted)
    assert running.faults == ()
    config.accept(running)
    assert kept_copies(folder)["operators/acme.yaml"] == b"{}\n"


@pytest.mark.parametrize("left", ["", "\n"])
def test_a_file_that_was_emptied_runs_as_last_accepted(folder: Path, accepted: config.Config, left: str) -> None:
    # A full disk leaves it so when it is saved, and so does a loss of power.
    write(folder, {"operators/acme.yaml": left})
    for previous in (accepted, None):
        running = config.running(folder, previous)
        assert running.operators == accepted.operators
        assert running.accounts == accepted.accounts
        assert running.standing_in == ("operators/acme.yaml",)
        config.accept(running)
        assert kept_copies(folder)["operators/acme.yaml"] == ACME.encode()


def test_a_main_file_that_was_emptied_is_refused(
    folder: Path, accepted: config.Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # The service has a state folder in any case: the rest of the file must not be forgotten for that, its store least of all.
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "other"))
    write(folder, {"gatewayd.yaml": ""})
    for previous in (accepted, None):
        with pytest.raises(ConfigError, match=r"gatewayd\.yaml is faulty") as caught:
            config.running(folder, previous)
        assert [fault.file for fault in caught.value.faults] == ["gatewayd.yaml"]


def test_what_was_empty_when_it_was_accepted_runs_on(
    folder: Path, accepted: config.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier release took it, and said of the main file that it may be empty: an upgrade stops nobody's mail for that."""
    state = accepted.state
    monkeypatch.setenv("STATE_DIRECTORY", str(state))
    for name in ("gatewayd.yaml", "operators/acme.yaml"):
        (folder / name).write_bytes(b"")
        (state / "accepted" / name).write_bytes(b"")
    (folder / "accounts/irina.yaml").unlink()
    account = "kind: imap\noperators: [acme]\nhost: h.example\nusername: u\npassword: !env P\nimport: {}\n"
    (folder / "accounts/sales.yaml").write_text(account)
    running = config.running(folder)
    assert running.state == state
    assert not running.operators["acme"].faulty
    assert list(running.accounts) == ["sales"]
    # It is told, and what was emptied since is another matter.
    assert [fault.file for fault in running.faults] == ["operators/acme.yaml"]
    (state / "accepted/gatewayd.yaml").write_text("log: {level: debug}\n")
    with pytest.raises(ConfigError, match=r"gatewayd\.yaml is faulty"):
        config.running(folder)


def test_a_faulty_main_file_refuses_all_and_the_copies_stay(folder: Path, accepted: config.Config) -> None:
    copies = kept_copies(folder)
    write(folder, {"gatewayd.yaml": MAIN + "sotre: {}\n", "accounts/sales.yaml": FAULTY})
    with pytest.raises(ConfigError, match=r"gatewayd\.yaml is faulty") as caught:
        config.running(folder, accepted)
    assert {fault.file for fault in caught.value.faults} == {"gatewayd.yaml", "accounts/sales.yaml"}
    with pytest.raises(ConfigError):
        config.running(folder / "nowhere", accepted)
    write(folder, {"gatewayd.yaml": "store: {kind: paper}\n"})
    with pytest.raises(ConfigError):
        config.running(folder)
    assert kept_copies(folder) == copies


def test_another_state_folder_waits_for_a_restart_and_so_do_the_copies(folder: Path, accepted: config.Config) -> None:
    write(folder, {"gatewayd.yaml": MAIN.replace("state: state", "state: elsewhere"), "accounts/sales.yaml": FAULTY})
    running = config.running(folder, accepted)
    assert running.accounts == accepted.accounts
    assert config.changes(accepted, running).restart == ("state",)
    config.accept(config.kept(accepted, running))
    assert not (folder / "elsewhere").exists()


def test_of_an_operator_that_waits_the_users_are_not_known_and_its_personal_accounts_run(
    folder: Path, accepted: config.Config
) -> None:
    shutil.rmtree(folder / "state")
    write(folder, {"operators/acme.yaml": FAULTY, "accounts/irina.yaml": FAULTY})
    before = replace(accepted, operators={})
    running = config.running(folder, before)
    assert running.operators["acme"].faulty
    assert sorted(running.accounts) == ["irina", "sales"]
    assert running.standing_in == ("accounts/irina.yaml",)


def test_a_plugin_that_no_longer_loads_runs_as_last_accepted_also_after_a_restart(folder: Path, accepted: config.Config) -> None:
    write(folder, {"plugins/fakes.py": "def broken(:\n"})
    for previous in (accepted, None):
        running = config.running(folder, previous)
        assert (running.accounts, running.operators) == (accepted.accounts, accepted.operators)
        assert running.standing_in == ("plugins/fakes.py",)
        assert [str(fault) for fault in running.faults] == ["plugins/fakes.py:1:12: SyntaxError: invalid syntax (fakes.py:1)"]
        assert config.changes(accepted, running) == config.Changes()
        config.accept(running)
    assert kept_copies(folder)["plugins/fakes.py"] == FAKES.read_bytes()
    write(folder, {"plugins/fakes.py": FAKES.read_text() + "\n"})
    mended = config.running(folder)
    assert (mended.faults, mended.standing_in) == ((), ())


@pytest.mark.parametrize("code", ["def broken(:\n", "1/0\n", "", None])
def test_a_new_process_runs_a_plugin_as_last_accepted(folder: Path, accepted: config.Config, code: str | None) -> None:
    (folder / "plugins" / "fakes.py").unlink() if code is None else write(folder, {"plugins/fakes.py": code})
    write(folder, {"accounts/sales.yaml": FAULTY})
    look = f"""
from pathlib import Path
from gatewayd import config
running = config.running(Path({str(folder)!r}))
print(*running.accounts, *running.standing_in, *running.operators["acme"].matchers[1][1].digits)
print(config.fingerprint_of(running.operators["acme"], running.registry)["numbers"])
"""
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [
        *("irina", "sales", "accounts/sales.yaml", "plugins/fakes.py", "4", "5"),
        config.fingerprint_of(accepted.operators["acme"], accepted.registry)["numbers"],
    ]


def test_a_plugin_that_never_loaded_leaves_its_operators_without_matching(folder: Path) -> None:
    write(folder, {"plugins/fakes.py": "def broken(:\n", "plugins/paper.py": _PAPER})
    running = config.running(folder)
    assert running.operators["acme"].faulty
    assert running.standing_in == ()
    config.accept(running)
    assert "plugins/fakes.py" not in kept_copies(folder)


def test_a_plugin_that_is_gone_stays_while_somebody_uses_it(folder: Path) -> None:
    write(folder, {"plugins/extra.py": _EXTRA, "operators/other.yaml": _OTHER})
    before = config.running(folder)
    config.accept(before)
    (folder / "plugins" / "extra.py").unlink()
    running = config.running(folder)
    assert running.operators == before.operators
    assert running.standing_in == ("plugins/extra.py",)
    assert [str(fault) for fault in running.faults] == ["plugins/extra.py: gone, but what it offers is still in use"]
    config.accept(running)
    write(folder, {"operators/other.yaml": "title: Other\n"})
    freed = config.running(folder, running)
    assert (freed.faults, freed.standing_in) == ((), ())
    config.accept(freed)
    assert "plugins/extra.py" not in kept_copies(folder)
    assert "extra" not in config.running(folder).registry.kinds(Matcher)


def test_a_plugin_outside_the_config_folder_is_named_by_its_whole_path(folder: Path, tmp_path: Path) -> None:
    (folder / "plugins").rename(tmp_path / "plugins")
    write(folder, {"gatewayd.yaml": MAIN.replace("plugins}", f"{tmp_path}/plugins}}")})
    config.accept(config.running(folder))
    (tmp_path / "plugins" / "fakes.py").write_text("1/0")
    running = config.running(folder)
    assert running.standing_in == (running.faults[0].file,) == (str(tmp_path / "plugins" / "fakes.py"),)


def test_a_copy_of_a_plugin_that_can_not_be_read_is_as_good_as_none(folder: Path, accepted: config.Config) -> None:
    assert accepted.registry.files
    copy = folder / "state" / "accepted" / "plugins" / "fakes.py"
    copy.unlink()
    copy.mkdir()
    write(folder, {"plugins/fakes.py": "1/0", "plugins/paper.py": _PAPER})
    assert config.running(folder).operators["acme"].faulty


def test_a_copy_that_can_not_be_written_is_told_and_leaves_nothing_behind(folder: Path, accepted: config.Config) -> None:
    copy = folder / "state" / "accepted" / "accounts" / "sales.yaml"
    copy.unlink()
    (copy / "in the way").mkdir(parents=True)
    with pytest.raises(OSError, match="Is a directory"):
        config.accept(accepted)
    assert sorted(path.name for path in copy.parent.iterdir()) == ["irina.yaml", "sales.yaml"]


def test_what_a_killed_daemon_left_behind_is_removed(folder: Path, accepted: config.Config) -> None:
    left = folder / "state" / "accepted" / "accounts" / ".sales.yaml.1a2b3c4d"
    left.write_text("half")
    assert config.running(folder).accounts == accepted.accounts
    config.accept(accepted)
    assert not left.exists()


_PAPER = (
    FAKES.read_text().partition("class Nest")[0]
    + """
@whole
class Paper(Store):
    kind = "paper"

@hookimpl
def gatewayd_stores() -> list[type]:
    return [Paper]
"""
)

_EXTRA = """
from gatewayd import Matcher, hookimpl

class Extra(Matcher):
    kind = "extra"
    def match(self, mails, directory):
        return []

@hookimpl
def gatewayd_matchers():
    return [Extra]
"""

_OTHER = "directory: {kind: cards, folder: cards}\nmatchers: [extra]\n"

_TEXTS = {
    "operators/acme.yaml": ["title: One\n", "title: Two\nmatchers: []\n", "titel: Acme\n", "title: [\n"],
    "operators/nord.yaml": ["title: Nord\n", "- nord\n"],
    "accounts/sales.yaml": [
        "kind: pigeon\noperators: [acme]\nloft: roof\nring: !env RING\n",
        "kind: pigeon\noperators: [nord]\nloft: roof\nring: !env RING\n",
        "kind: pigeon\noperators: [acme]\nloft: roof\nring: hunter2\n",
        "kind: pigeon\n",
    ],
    "accounts/info.yaml": ["kind: snail\noperators: [acme, nord]\nloft: mud\nring: !env RING\n", "kind: snale\n"],
}

_EDITS = st.sampled_from([(name, text) for name, texts in _TEXTS.items() for text in (*texts, None)])


@pytest.fixture(scope="module")
def registry() -> loading.Registry:
    return loading.load(FAKES.parent)


@given(st.lists(st.lists(_EDITS, max_size=4), min_size=1, max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_P4_whatever_is_edited_each_file_runs_as_it_was_when_it_last_was_sound(
    tmp_path: Path, registry: loading.Registry, rounds: list[list[tuple[str, str | None]]]
) -> None:
    """Each round edits files and starts anew; a second folder holds by hand what ought to run."""
    shutil.rmtree(tmp_path)
    real, ideal = tmp_path / "real", tmp_path / "ideal"
    for folder in (real, ideal):
        write(folder, {"gatewayd.yaml": "state: state\nstore: {kind: paper}\n"})
    once_sound: set[str] = set()
    for edits in rounds:
        for name, text in edits:
            (real / name).unlink(missing_ok=True) if text is None else write(real, {name: text})
        sound = config.load(real, registry)
        # An account that names one operator of several without a file is sound: it runs for the others.
        faulty = {file for file, digest in sound.digests.items() if not digest}
        once_sound |= _TEXTS.keys() - faulty
        for name in _TEXTS:
            if not (real / name).exists():
                (ideal / name).unlink(missing_ok=True)
                once_sound.discard(name)
            elif name not in faulty or name not in once_sound:
                # What was never sound is never taken over, even where another file would make its older text sound by now.
                write(ideal, {name: (real / name).read_text()})
        running = config.running(real, registry=registry)
        expected = config.load(ideal, registry)
        assert set(running.standing_in) <= faulty
        assert running.operators == expected.operators
        assert running.accounts == expected.accounts
        config.accept(running)


@pytest.mark.parametrize("file", ["operators/acme.yaml", "operators/nord.yaml"])
def test_P4_an_operator_whose_file_is_gone_costs_the_others_nothing(folder: Path, accepted: config.Config, file: str) -> None:
    shared = SALES.replace("[acme]", "[acme, nord]")
    write(folder, {"operators/nord.yaml": "title: Nord\n", "accounts/sales.yaml": shared})
    (folder / "accounts/irina.yaml").unlink()
    both = config.running(folder, accepted)
    assert (both.faults, both.accounts["sales"].operators) == ((), ("acme", "nord"))
    config.accept(both)
    (folder / file).rename(folder / f"{file}.gone.new")
    gone = file.removeprefix("operators/").removesuffix(".yaml")
    (left,) = {"acme", "nord"} - {gone}
    for previous in (both, None):
        running = config.running(folder, previous)
        assert running.accounts["sales"].operators == (left,)
        assert running.standing_in == ()
        what = f"unknown operator {gone!r}: there is no {file}, and the account goes on for {left!r} alone"
        assert [str(fault) for fault in running.faults] == [f"accounts/sales.yaml:2:{13 if gone == 'acme' else 19}: {what}"]
        config.accept(running)
    # What is faulty besides runs as last accepted, for those that are there.
    write(folder, {"accounts/sales.yaml": shared + "lofts: roof\n"})
    running = config.running(folder)
    assert (running.accounts["sales"].operators, running.standing_in) == ((left,), ("accounts/sales.yaml",))
    # Without any, nobody may see its mail.
    write(folder, {"accounts/sales.yaml": shared})
    (folder / f"operators/{left}.yaml").unlink()
    assert "sales" not in config.running(folder, running).accounts
    write(folder, {"operators/acme.yaml": ACME, "operators/nord.yaml": "title: Nord\n"})
    mended = config.running(folder, running)
    assert (mended.faults, mended.accounts["sales"].operators) == ((), ("acme", "nord"))
