"""``install``: the service's unit and a config to begin with. What a person has edited is never overwritten."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatewayd.cli import output
from gatewayd.errors import PermanentError
from gatewayd.runtime.atomic_files import write_file

if TYPE_CHECKING:
    from gatewayd.cli.app import App

__all__ = ["COMMANDS", "systemd_version", "unit"]

_SKELETON = Path(__file__).parent / "skeleton"
_UNIT = "etc/systemd/system/gatewayd.service"
#: There where the service is started at boot.
_ENABLED = "etc/systemd/system/multi-user.target.wants/gatewayd.service"
#: Config file: what it is made of.
_FILES = {
    "gatewayd.yaml": "gatewayd.yaml",
    "accounts/reservations.yaml.sample": "account.yaml",
    "operators/acme.yaml.sample": "operator.yaml",
}
_FOLDERS = {"": 0o755, "accounts": 0o755, "operators": 0o755, "plugins": 0o755, "credentials": 0o700}

#: The first systemd that knows Type=notify-reload (systemd.service(5)).
_RELOADS = 253
#: For it, in place of the type and the signal that the skeleton has for any: `systemctl reload` waits for its end, too.
_NEWER = {
    "# Known to every systemd. From 253 on `gatewayd install` writes notify-reload: `": "# For systemd 253 and newer: `",
    "Type=notify\n": "Type=notify-reload\n",
    "ExecReload=/bin/sh -c 'kill -HUP $$MAINPID'\n": "",
}
#: The first systemd that hands over credentials anew when the service is reloaded, where the unit says so (systemd.service(5)).
_REFRESHES = 260
_REFRESH = "RefreshOnReload=credentials\n"
#: What needs no quoting in a unit.
_PLAIN = re.compile(r"/[A-Za-z0-9/._+@-]*")
#: What the service doesn't see: ProtectHome=, PrivateTmp=.
_HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108  named, not written to


@click.command("install")
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("/"),
    show_default=True,
    help="The system to install into.",
)
@click.option(
    "--program",
    type=click.Path(path_type=Path),
    help="The gatewayd command as the service finds it below the root.  [default: the one that is running]",
)
@click.option("--systemd-version", "version", type=int, help="Write the unit for this systemd.  [default: the root's own]")
@click.pass_obj
def _install(app: App, root: Path, program: Path | None, version: int | None) -> None:
    """Install the systemd service and a config to begin with.

    The config folder is that of --config. A file of it that a person has edited is left alone: ours is written beside it,
    with .new at its end. The unit is replaced; changes to it belong into `systemctl edit gatewayd`.
    """
    work = _Installation(root.absolute())
    command = program or Path(sys.executable).parent / "gatewayd"
    known = version or systemd_version(work.root)
    text = unit(command, app.folder, version=known)
    try:
        for name, mode in _FOLDERS.items():
            work.folder(app.folder / name, mode)
        for name, source in _FILES.items():
            work.file(app.folder / name, (_SKELETON / source).read_text())
        work.file(Path("/", _UNIT), text, ours=True)
    except OSError as error:
        advice = "Run this as root, or name another --root."
        raise PermanentError(f"{error.filename or work.root}: {error.strerror}", advice=advice) from error
    parts = [command] if program else [command, Path(sys.executable).resolve(), Path(__file__)]
    _warn(work.root, command, parts, known)
    _advise(app.folder, work)


def unit(program: Path, config: Path, *, version: int | None) -> str:
    """Return the unit for this program, this config folder and this version of systemd, None for an unknown one.

    Raises PermanentError where a path has characters that a unit would have to quote.
    """
    for path in (program, config):
        if not _PLAIN.fullmatch(str(path)):
            advice = "Use a path of letters, digits and . _ + @ - only, beginning with /."
            raise PermanentError(f"{str(path)!r} can't stand in a unit", advice=advice)
    text = (_SKELETON / "gatewayd.service").read_text()
    for old, new in _NEWER.items() if version and version >= _RELOADS else ():
        text = text.replace(old, new)
    if version and version >= _REFRESHES:
        text = text.replace("LoadCredential=", f"{_REFRESH}LoadCredential=")
    lines = {
        "ExecStart=": f"{program} --config {config} run",
        "ExecReload=/usr/local": f"{program} --config {config} check --only-files",
        "LoadCredential=": f"gatewayd:{config}/credentials",
    }
    for start, value in lines.items():
        text = re.sub(rf"^{start}.*$", f"{start.partition('=')[0]}={value}", text, flags=re.MULTILINE)
    return text


def systemd_version(root: Path) -> int | None:
    """Return the version of the systemd that is installed below ``root``, by its library's name; None if there is none."""
    places = ("usr/lib/systemd", "usr/lib64/systemd", "lib/systemd", "usr/lib/*/systemd", "lib/*/systemd")
    names = [path.name for place in places for path in root.glob(f"{place}/libsystemd-shared-*.so")]
    found = [int(number[1]) for name in names if (number := re.match(r"libsystemd-shared-(\d+)", name))]
    return max(found, default=None)


@dataclass
class _Installation:
    """Writes below a root, and says what it does."""

    root: Path
    #: Ours beside what a person has edited.
    beside: list[Path] = field(default_factory=list)
    #: Another unit was there before.
    unit_replaced: bool = False

    def folder(self, path: Path, mode: int) -> None:
        """Make a folder; one that is there stays as it is."""
        here = self._here(path)
        if not here.is_dir():
            here.parent.mkdir(parents=True, exist_ok=True)
            here.mkdir(mode=mode)
            here.chmod(mode)
            _say(f"made     {here}/")
        elif here.stat().st_mode & 0o077 & ~mode:
            output.note(f"warning  {here}/ is open to others than root, expected: chmod {mode:o} {here}")

    def file(self, path: Path, text: str, *, ours: bool = False) -> None:
        """Write a file, unless a person has edited it."""
        here = self._here(path)
        now = here.read_bytes() if here.exists() else None
        if now == text.encode():
            _say(f"kept     {here}")
            return
        if now is not None and not ours:
            _say(f"kept     {here}, which was edited; ours is {here.name}.new")
            here = here.with_name(f"{here.name}.new")
            self.beside.append(here)
        else:
            _say(f"{'replaced' if now is not None else 'wrote   '} {here}")
            self.unit_replaced |= ours and now is not None
        here.parent.mkdir(parents=True, exist_ok=True)
        write_file(here, text.encode(), mode=0o644)

    def _here(self, path: Path) -> Path:
        return self.root / str(path).lstrip("/")


def _warn(root: Path, program: Path, parts: list[Path], version: int | None) -> None:
    """Say what will keep the service from starting."""
    if not os.path.lexists(root / str(program).lstrip("/")):
        output.note(f"warning  there is no {program} in {root}; name the command with --program")
    for part in parts:
        if str(part).startswith(tuple(f"{folder}/" for folder in _HIDDEN)):
            output.note(f"warning  the service can't see {part}: install gatewayd outside of home and temporary folders")
    if version is None:
        output.note(f"warning  no systemd is found in {root}; the unit is for any version, see --systemd-version")


def _advise(config: Path, work: _Installation) -> None:
    """Say what is left to do, and nothing that is done."""
    steps = [f"compare what is new: {', '.join(map(str, work.beside))}"] if work.beside else []
    if not all(any(work.root.glob(f"{str(config).lstrip('/')}/{group}/*.yaml")) for group in ("accounts", "operators")):
        steps += [
            f"say which mailboxes and operators there are: {config}/accounts/*.yaml, {config}/operators/*.yaml",
            f"put each password into a file of {config}/credentials, and name it as `!credential FILE`",
        ]
    if not os.path.lexists(work.root / _ENABLED):
        steps += ["gatewayd check --online", "systemctl enable --now gatewayd"]
    if work.unit_replaced:
        steps += ["systemctl daemon-reload && systemctl restart gatewayd"]
    _say("Next:" if steps else "Nothing else is to be done; after an update of the program: systemctl restart gatewayd")
    for step in steps:
        _say(f"  {step}")


def _say(text: str) -> None:
    click.echo(output.clean(text))


COMMANDS = (_install,)
