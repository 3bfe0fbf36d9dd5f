"""``install``: write the systemd unit and a first config, without overwriting files that a person has edited."""

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
#: This link exists if the service is started at boot.
_ENABLED = "etc/systemd/system/multi-user.target.wants/gatewayd.service"
#: Config files and their templates.
_FILES = {
    "gatewayd.yaml": "gatewayd.yaml",
    "accounts/reservations.yaml.sample": "account.yaml",
    "operators/acme.yaml.sample": "operator.yaml",
}
_FOLDERS = {"": 0o755, "accounts": 0o755, "operators": 0o755, "plugins": 0o755, "credentials": 0o700}

#: The first systemd that knows Type=notify-reload (systemd.service(5)).
_RELOADS = 253
#: Replacements for it in the template, which fits any version. With these `systemctl reload` waits for the reload to end.
_NEWER = {
    "# Known to every systemd. From 253 on `gatewayd install` writes notify-reload: `": "# For systemd 253 and newer: `",
    "Type=notify\n": "Type=notify-reload\n",
    "ExecReload=/bin/sh -c 'kill -HUP $$MAINPID'\n": "",
}
#: The first systemd that can refresh credentials when the service is reloaded (systemd.service(5)).
_REFRESHES = 260
_REFRESH = "RefreshOnReload=credentials\n"
#: Paths that need no quoting in a unit.
_PLAIN = re.compile(r"/[A-Za-z0-9/._+@-]*")
#: Folders that the service can't see: ProtectHome=, PrivateTmp=.
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
    """Install the systemd service and a first config.

    The config folder is that of --config. A config file that a person has edited is left alone, and ours is written beside it
    as FILE.new. The unit is replaced; put changes to it into `systemctl edit gatewayd`.
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
    """Return the text of the unit. ``version`` is that of systemd, None if unknown.

    Raises PermanentError for a path with characters that need quoting in a unit.
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
    """Writes files below a root, and prints what it does."""

    root: Path
    #: Our files beside those that a person has edited.
    beside: list[Path] = field(default_factory=list)
    #: An existing unit was replaced.
    unit_replaced: bool = False

    def folder(self, path: Path, mode: int) -> None:
        """Make a folder; an existing one is left as it is."""
        here = self._here(path)
        if not here.is_dir():
            here.parent.mkdir(parents=True, exist_ok=True)
            here.mkdir(mode=mode)
            here.chmod(mode)
            output.say(f"made     {here}/")
        elif here.stat().st_mode & 0o077 & ~mode:
            output.note(f"warning  {here}/ is open to others than root, expected: chmod {mode:o} {here}")

    def file(self, path: Path, text: str, *, ours: bool = False) -> None:
        """Write a file, unless a person has edited it."""
        here = self._here(path)
        now = here.read_bytes() if here.exists() else None
        if now == text.encode():
            output.say(f"kept     {here}")
            return
        if now is not None and not ours:
            output.say(f"kept     {here}, which was edited; ours is {here.name}.new")
            here = here.with_name(f"{here.name}.new")
            self.beside.append(here)
        else:
            output.say(f"{'replaced' if now is not None else 'wrote   '} {here}")
            self.unit_replaced |= ours and now is not None
        here.parent.mkdir(parents=True, exist_ok=True)
        write_file(here, text.encode(), mode=0o644)

    def _here(self, path: Path) -> Path:
        return self.root / str(path).lstrip("/")


def _warn(root: Path, program: Path, parts: list[Path], version: int | None) -> None:
    """Warn of everything that would keep the service from starting."""
    if not os.path.lexists(root / str(program).lstrip("/")):
        output.note(f"warning  there is no {program} in {root}; name the command with --program")
    for part in parts:
        if str(part).startswith(tuple(f"{folder}/" for folder in _HIDDEN)):
            output.note(f"warning  the service can't see {part}: install gatewayd outside of home and temporary folders")
    if version is None:
        output.note(f"warning  no systemd is found in {root}; the unit is for any version, see --systemd-version")


def _advise(config: Path, work: _Installation) -> None:
    """Print the steps that are left to do."""
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
    output.say("Next:" if steps else "Nothing else is to be done; after an update of the program: systemctl restart gatewayd")
    for step in steps:
        output.say(f"  {step}")


COMMANDS = (_install,)
