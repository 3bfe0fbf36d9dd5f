from __future__ import annotations

import re
import stat
import sys
from pathlib import Path

import pytest
import yaml

from gatewayd import cli, config
from gatewayd.cli.units import unit

ROOT = Path(__file__).parents[3]
PROGRAM = Path("/usr/local/lib/gatewayd/bin/gatewayd")
UNIT = "etc/systemd/system/gatewayd.service"
MADE = {
    "etc/gatewayd/gatewayd.yaml",
    "etc/gatewayd/accounts/reservations.yaml.sample",
    "etc/gatewayd/operators/acme.yaml.sample",
    "etc/sysusers.d/gatewayd.conf",
    UNIT,
}
WEB = "etc/systemd/system/gatewayd-web.service"
OLD = unit(PROGRAM, Path("/etc/gatewayd"), version=252)
#: What systemd-sysusers writes.
ACCOUNTS = {"passwd", "group", "shadow", "gshadow", ".pwd.lock", "passwd-", "group-", "shadow-", "gshadow-"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A system with our program and a systemd in it."""
    for name in ("usr/local/lib/gatewayd/bin/gatewayd", "usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-252.so"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    return tmp_path


def install(root: Path, *more: str, folder: str = "/etc/gatewayd") -> int:
    return cli.run(["--config", folder, "install", "--root", str(root), "--program", str(PROGRAM), *more])


def files(root: Path) -> dict[str, bytes]:
    found = (path for path in (root / "etc").rglob("*") if path.is_file() and path.name not in ACCOUNTS)
    return {str(path.relative_to(root)): path.read_bytes() for path in found}


# --- what is installed ------------------------------------------------------------------------------------------------


def test_it_makes_a_service_and_a_config_that_only_wants_accounts(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert install(root) == 0
    assert files(root).keys() == MADE
    said = capsys.readouterr()
    assert said.err == ""
    for name in MADE:
        assert f"wrote    {root}/{name}" in said.out
    assert said.out.index("Next:") < said.out.index("gatewayd check --online") < said.out.index("systemctl enable --now gatewayd")
    found = config.load(root / "etc/gatewayd")
    assert (found.state, found.accounts, found.operators, found.faults) == (Path("/var/lib/gatewayd"), {}, {}, ())


def test_P9_only_root_may_look_into_the_credentials_and_everybody_may_read_the_rest(root: Path) -> None:
    install(root)
    folder = root / "etc/gatewayd"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {"gatewayd.yaml": 0o644, "accounts": 0o755, "operators": 0o755, "plugins": 0o755, "credentials": 0o700}
    assert stat.S_IMODE((root / UNIT).stat().st_mode) == 0o644


def test_the_samples_are_those_that_the_repository_shows(root: Path) -> None:
    install(root)
    for sample, shown in {"accounts/reservations": "accounts/reservations", "operators/acme": "operators/acme"}.items():
        assert (root / f"etc/gatewayd/{sample}.yaml.sample").read_text() == (ROOT / f"config/{shown}.yaml").read_text()


def test_the_keys_that_the_main_file_offers_are_right(root: Path) -> None:
    install(root)
    path = root / "etc/gatewayd/gatewayd.yaml"
    offered = re.sub(r"^# (?=[a-z]+: )", "", path.read_text(), flags=re.MULTILINE)
    assert {"log", "metrics"} <= yaml.safe_load(offered).keys()
    path.write_text(offered)
    assert config.load(path.parent).faults == ()


# --- again ------------------------------------------------------------------------------------------------------------


def test_again_changes_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(root)
    before = files(root)
    capsys.readouterr()
    assert install(root) == 0
    assert files(root) == before
    said = capsys.readouterr().out
    assert "wrote" not in said
    assert "replaced" not in said
    assert "daemon-reload" not in said


def test_what_is_done_is_not_asked_for_again(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said() -> str:
        capsys.readouterr()
        assert install(root) == 0
        return capsys.readouterr().out.partition("Next:")[2]

    assert "accounts/*.yaml" in said()
    for group in ("accounts", "operators"):
        (root / f"etc/gatewayd/{group}/one.yaml").write_text("")
    assert said() == "\n  gatewayd check --online\n  systemctl enable --now gatewayd\n"
    enabled = root / "etc/systemd/system/multi-user.target.wants/gatewayd.service"
    enabled.parent.mkdir()
    enabled.symlink_to("/etc/systemd/system/gatewayd.service")
    assert said() == ""
    (root / UNIT).write_text("[Service]\n")
    assert said() == "\n  systemctl daemon-reload && systemctl restart gatewayd\n"


def test_what_a_person_has_edited_stays_and_ours_is_beside_it(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(root)
    ours = (root / "etc/gatewayd/gatewayd.yaml").read_bytes()
    (root / "etc/gatewayd/gatewayd.yaml").write_text("state: /srv/gatewayd\n")
    (root / "etc/gatewayd/operators/acme.yaml.sample").write_text("mine\n")
    for _ in range(2):
        capsys.readouterr()
        assert install(root) == 0
    assert (root / "etc/gatewayd/gatewayd.yaml").read_text() == "state: /srv/gatewayd\n"
    assert (root / "etc/gatewayd/gatewayd.yaml.new").read_bytes() == ours
    assert (root / "etc/gatewayd/operators/acme.yaml.sample").read_text() == "mine\n"
    said = capsys.readouterr().out
    assert f"kept     {root}/etc/gatewayd/gatewayd.yaml, which was edited; ours is gatewayd.yaml.new" in said
    assert f"compare what is new: {root}/etc/gatewayd/gatewayd.yaml.new, " in said
    assert files(root).keys() == MADE | {"etc/gatewayd/gatewayd.yaml.new", "etc/gatewayd/operators/acme.yaml.sample.new"}
    # Nothing of it is taken for config.
    assert config.load(root / "etc/gatewayd").faults == ()


def test_the_unit_is_ours_and_is_replaced(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(root)
    (root / UNIT).write_text("[Service]\nExecStart=/bin/old\n")
    capsys.readouterr()
    assert install(root) == 0
    assert (root / UNIT).read_text() == OLD
    said = capsys.readouterr().out
    assert f"replaced {root}/{UNIT}" in said
    assert "systemctl daemon-reload && systemctl restart gatewayd" in said


@pytest.mark.parametrize("taken", [UNIT, "etc/gatewayd/gatewayd.yaml.new"])
def test_what_can_not_be_written_is_told_and_leaves_nothing_half(
    taken: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "etc/gatewayd").mkdir(parents=True)
    (root / "etc/gatewayd/gatewayd.yaml").write_text("state: /srv/gatewayd\n")
    (root / taken).mkdir(parents=True)
    assert install(root) == 1
    said = capsys.readouterr().err
    assert "Is a directory" in said
    assert "Run this as root" in said
    assert [path.name for path in (root / "etc").rglob(".*") if path.name not in ACCOUNTS] == []


# --- warnings ---------------------------------------------------------------------------------------------------------


def test_credentials_that_others_can_see_are_told_of_and_left_alone(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = root / "etc/gatewayd/credentials"
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    assert install(root) == 0
    assert f"chmod 700 {folder}" in capsys.readouterr().err
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


def test_a_program_that_the_service_can_not_see_is_told_of(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["install", "--root", str(root), "--program", "/home/anna/gatewayd/bin/gatewayd"]) == 0
    said = capsys.readouterr().err
    assert "there is no /home/anna/gatewayd/bin/gatewayd in" in said
    assert "the service can't see /home/anna/gatewayd/bin/gatewayd" in said


def test_without_program_it_is_the_one_that_runs(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["install", "--root", str(root)]) == 0
    assert f"ExecStart={Path(sys.executable).parent}/gatewayd --config" in (root / UNIT).read_text()
    python = str(Path(sys.executable).resolve())
    hidden = python.startswith(("/root/", "/home/"))
    assert (f"the service can't see {python}" in capsys.readouterr().err) == hidden


def test_a_root_without_systemd_gets_a_unit_for_any_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert install(tmp_path) == 0
    assert "no systemd is found" in capsys.readouterr().err
    assert (tmp_path / UNIT).read_text() == OLD


def test_program_and_config_folder_are_those_that_are_named(root: Path) -> None:
    assert install(root, "--systemd-version", "257", folder="/srv/mail") == 0
    text = (root / UNIT).read_text()
    assert f"ExecStart={PROGRAM} --config /srv/mail run\n" in text
    assert "LoadCredential=gatewayd:/srv/mail/credentials\n" in text
    assert f"ExecReload={PROGRAM} --config /srv/mail check --only-files\n" in text
    assert "Type=notify-reload\n" in text
    assert (root / "srv/mail/gatewayd.yaml").exists()
