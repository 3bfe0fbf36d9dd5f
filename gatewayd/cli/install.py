"""``install``: write the systemd unit and a first config, without overwriting files that a person has edited."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatewayd import config
from gatewayd.cli import output
from gatewayd.cli.service_users import SYSUSERS, WEB_USER, State, make_users, sysusers
from gatewayd.cli.units import SERVICE, WEB, systemd_version, unit, web_unit
from gatewayd.errors import ConfigError, PermanentError
from gatewayd.runtime.atomic_files import write_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewayd.cli.app import App

__all__ = ["COMMANDS"]

_SKELETON = Path(__file__).parent / "skeleton"
_UNITS = Path("/etc/systemd/system")
#: Links in here exist for services that are started at boot.
_ENABLED = _UNITS / "multi-user.target.wants"
#: Config files and their templates.
_FILES = {
    "gatewayd.yaml": "gatewayd.yaml",
    "accounts/reservations.yaml.sample": "account.yaml",
    "operators/acme.yaml.sample": "operator.yaml",
}
#: What the first main file says of the pages, without them and with them.
_NO_PAGES, _PAGES = '# web: {listen: "127.0.0.1:8025"} ', f"web: {{user: {WEB_USER}}} "
_FOLDERS = {"": 0o755, "accounts": 0o755, "operators": 0o755, "plugins": 0o755, "credentials": 0o700}

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
@click.option("--web", is_flag=True, help="Also the service that serves the pages for people.  [default: if it is installed]")
@click.pass_obj
def _install(app: App, root: Path, program: Path | None, version: int | None, *, web: bool) -> None:
    """Install the systemd service and a first config, and make the user that it runs as.

    The config folder is that of --config. A config file that a person has edited is left alone, and ours is written beside it
    as FILE.new. The unit is replaced; put changes to it into `systemctl edit gatewayd`. The state folder of a release before, which
    had no user of its own, is given to it.
    """
    work = _Installation(root.absolute())
    work.web = web or work.has(_UNITS / WEB)
    command = program or Path(sys.executable).parent / "gatewayd"
    known = version or systemd_version(work.root)
    units = {SERVICE: unit(command, app.folder, version=known, web=work.web)}
    units |= {WEB: web_unit(command, app.folder)} if work.web else {}
    try:
        _write(work, app.folder, units)
    except OSError as error:
        advice = "Run this as root, or name another --root."
        raise PermanentError(f"{error.filename or work.root}: {error.strerror}", advice=advice) from error
    parts = [command] if program else [command, Path(sys.executable).resolve(), Path(__file__)]
    _warn(work.root, command, parts, known)
    _advise(app.folder, work)


def _write(work: _Installation, folder: Path, units: Mapping[str, str]) -> None:
    """Write all files; raises OSError.

    The units come last: until then the old ones fit the state folder as it is, or as they make it.
    """
    state = State(work.root)
    state.prove_stopped()
    for name, mode in _FOLDERS.items():
        work.folder(folder / name, mode)
    for name, source in _FILES.items():
        text = (_SKELETON / source).read_text()
        work.file(folder / name, text.replace(_NO_PAGES, _PAGES) if work.web else text)
    work.file(Path("/", SYSUSERS), sysusers(web=work.web), ours=True)
    make_users(work.root)
    state.settle(web=work.web)
    for name, text in units.items():
        work.file(_UNITS / name, text, ours=True)


@dataclass
class _Installation:
    """Writes files below a root, and prints what it does."""

    root: Path
    #: Our files beside those that a person has edited.
    beside: list[Path] = field(default_factory=list)
    #: The existing units that were replaced.
    replaced: list[str] = field(default_factory=list)
    #: With the pages.
    web: bool = False

    def has(self, path: Path) -> bool:
        """Whether there is such a file, or a link that leads nowhere here."""
        return os.path.lexists(self._here(path))

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
            self.replaced += [here.name] if ours and now is not None and path.parent == _UNITS else []
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


def _advise(config_folder: Path, work: _Installation) -> None:
    """Print the steps that are left to do."""
    steps = [f"compare what is new: {', '.join(map(str, work.beside))}"] if work.beside else []
    if not all(any(work.root.glob(f"{str(config_folder).lstrip('/')}/{group}/*.yaml")) for group in ("accounts", "operators")):
        steps += [
            f"say which mailboxes and operators there are: {config_folder}/accounts/*.yaml, {config_folder}/operators/*.yaml",
            f"put each password into a file of {config_folder}/credentials, and name it as `!credential FILE`",
        ]
    steps += _web_steps(config_folder, work) if work.web else []
    new = [name for name in (SERVICE, WEB)[: 1 + work.web] if not work.has(_ENABLED / name)]
    if SERVICE in new:
        steps += ["gatewayd check --online"]
    steps += [f"systemctl enable --now {Path(name).stem}" for name in new]
    if work.replaced:
        steps += [f"systemctl daemon-reload && systemctl restart {' '.join(Path(name).stem for name in work.replaced)}"]
    output.say("Next:" if steps else "Nothing else is to be done; after an update of the program: systemctl restart gatewayd")
    for step in steps:
        output.say(f"  {step}")


def _web_steps(folder: Path, work: _Installation) -> list[str]:
    try:
        user = config.web_of(work.root / str(folder).lstrip("/")).user
    except ConfigError:
        user = None
    needed = f"{folder}/gatewayd.yaml needs `web: {{user: {WEB_USER}}}`, so that the daemon answers the pages"
    return [] if user == WEB_USER else [needed]


COMMANDS = (_install,)
