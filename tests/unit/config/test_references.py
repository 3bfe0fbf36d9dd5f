"""What a config names outside of its files is tried by ``check``: secrets, certificates, and what systemd hands over."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import trustme

from gatewayd import cli
from tests.e2e.house import House

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def house(tmp_path: Path) -> House:
    made = House(tmp_path)
    made.operator("acme")
    made.account("sales", "imap", 993, "anna", more="operators: [acme]\nca_file: ca.pem\n", security="tls")
    trustme.CA().cert_pem.write_to_path(str(made.folder / "ca.pem"))
    (made.folder / "credentials").mkdir()
    made.write("credentials/sales", "x\n")
    return made


def check(house: House, capfd: pytest.CaptureFixture[str]) -> list[str]:
    capfd.readouterr()
    code = cli.run(["--config", str(house.folder), "check"])
    out = capfd.readouterr().out.splitlines()
    assert (code == 78) == bool(out)
    return out


def test_a_sound_config_has_no_fault(house: House, capfd: pytest.CaptureFixture[str]) -> None:
    assert check(house, capfd) == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a:b", "systemd refuses this name"),
        ("größe", "systemd refuses this name"),
        ("tab\tname", "systemd refuses this name"),
        ("x" * 250, "systemd refuses this name"),
        ("sub/a:b", "systemd refuses this name"),
    ],
)
def test_a_credential_that_systemd_refuses_is_a_fault(
    house: House, capfd: pytest.CaptureFixture[str], name: str, says: str
) -> None:
    house.write(f"credentials/{name}", "x\n")
    (line,) = check(house, capfd)
    assert says in line
    assert line.startswith("credentials/")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [(os.mkfifo, "Not a regular file"), (lambda path: path.touch(), "has 0 characters"), (os.mkdir, "Is a directory")],
)
def test_a_kept_key_that_can_not_be_used_is_a_fault_and_none_is_made(
    house: House, capfd: pytest.CaptureFixture[str], spoil: Callable[[Path], None], says: str
) -> None:
    key = house.state / "signing.key"
    assert check(house, capfd) == []
    assert not key.exists()
    key.parent.mkdir(exist_ok=True)
    spoil(key)
    (line,) = check(house, capfd)
    assert f"{key}" in line
    assert says in line


def test_credentials_that_are_too_many_or_too_large_or_no_files_are_faults(house: House, capfd: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(house.folder / "credentials/pipe")
    (house.folder / "credentials/gone").symlink_to("nowhere")
    assert [line.split(":")[0] for line in check(house, capfd)] == ["credentials/gone", "credentials/pipe"]
    for name in ("pipe", "gone"):
        (house.folder / "credentials" / name).unlink()
    house.write("credentials/large", "x" * (1 << 20))
    assert check(house, capfd) == ["credentials: systemd hands over 1 MiB at most, found more"]
    (house.folder / "credentials/large").unlink()
    for number in range(1000):
        house.write(f"credentials/{number}", "x")
    assert check(house, capfd) == ["credentials: systemd hands over about 1000 files at most, found 1001"]


@pytest.mark.parametrize("how", ["gone", "fifo", "no certificate"])
def test_a_ca_file_that_can_not_be_used_is_a_fault_at_its_place(house: House, capfd: pytest.CaptureFixture[str], how: str) -> None:
    path = house.folder / "ca.pem"
    path.unlink()
    if how == "fifo":
        os.mkfifo(path)
    elif how == "no certificate":
        path.write_text("nothing\n")
    (line,) = check(house, capfd)
    assert line.startswith(f"accounts/sales.yaml:9:10: ca_file {path}: ")


def test_the_ca_file_of_a_credential_is_looked_at_too(house: House, capfd: pytest.CaptureFixture[str]) -> None:
    main = (house.folder / "gatewayd.yaml").read_text()
    house.write(
        "gatewayd.yaml", f"{main}credentials:\n  app:\n    kind: google\n    service_account: !file secret\n    ca_file: gone.pem\n"
    )
    (line,) = check(house, capfd)
    assert line.startswith(f"gatewayd.yaml:{len(main.splitlines()) + 5}:14: ca_file {house.folder / 'gone.pem'}: ")


@pytest.mark.parametrize("kind", ["fifo", "/dev/zero", "folder"])
def test_a_secret_that_is_no_file_is_a_fault_and_hangs_nobody(house: House, capfd: pytest.CaptureFixture[str], kind: str) -> None:
    path = house.folder / "secret"
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(kind)
    (line,) = check(house, capfd)
    assert "accounts/sales.yaml:6:11: the secret" in line
    assert ".." not in line


@pytest.mark.parametrize("name", ["gatewayd.yaml", "accounts/sales.yaml", "operators/acme.yaml", "plugins/ours.py"])
def test_a_file_of_the_config_that_is_a_pipe_hangs_nobody(house: House, capfd: pytest.CaptureFixture[str], name: str) -> None:
    (house.folder / name).unlink(missing_ok=True)
    os.mkfifo(house.folder / name)
    capfd.readouterr()
    code = cli.run(["--config", str(house.folder), "check"])
    said = "".join(capfd.readouterr())
    assert code == 78 or (name.startswith("plugins") and code == 0), said


def test_the_ca_file_of_a_credential_is_a_fault_where_it_is_named_and_nowhere_else(
    house: House, capfd: pytest.CaptureFixture[str]
) -> None:
    google = "kind: google, client: c, client_secret: !file secret, refresh_token: !file secret"
    main = (house.folder / "gatewayd.yaml").read_text()
    house.write("gatewayd.yaml", f"{main}credentials:\n  app: {{{google}, ca_file: gone.pem}}\n")
    account = (house.folder / "accounts/sales.yaml").read_text().replace("username: anna", "username: {}")
    for name, credential in {"one": "app", "two": "app", "own": f"{{{google}, ca_file: lost.pem}}"}.items():
        text = account.format(name).replace("password: !file secret", f"credential: {credential}")
        house.write(f"accounts/{name}.yaml", text)
    own, shared = check(house, capfd)
    assert own.startswith("accounts/own.yaml:")
    assert "lost.pem" in own
    assert shared.startswith("gatewayd.yaml:")
    assert "gone.pem" in shared
