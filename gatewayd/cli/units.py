"""The text of the systemd units, for the systemd that will read them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from gatewayd.errors import PermanentError

__all__ = ["SERVICE", "WEB", "systemd_version", "unit", "web_unit"]

#: The names of the units: the daemon's, and that of the process that serves the pages.
SERVICE, WEB = "gatewayd.service", "gatewayd-web.service"

_SKELETON: Final = Path(__file__).parent / "skeleton"
#: The first systemd that knows Type=notify-reload (systemd.service(5)).
_RELOADS: Final = 253
#: Replacements for it in the template, which fits any version. With these `systemctl reload` waits for the reload to end.
_NEWER: Final = {
    "# Known to every systemd. From 253 on `gatewayd install` writes notify-reload: `": "# For systemd 253 and newer: `",
    "Type=notify\n": "Type=notify-reload\n",
    "ExecReload=/bin/sh -c 'kill -HUP $$MAINPID'\n": "",
}
#: The first systemd that can refresh credentials when the service is reloaded (systemd.service(5)).
_REFRESHES: Final = 260
_REFRESH: Final = "RefreshOnReload=credentials\n"
#: Paths that need no quoting in a unit.
_PLAIN: Final = re.compile(r"/[A-Za-z0-9/._+@-]*")


def unit(program: Path, config: Path, *, version: int | None, web: bool = False) -> str:
    """Return the text of the daemon's unit.

    ``version`` is that of systemd, None if unknown. ``web``: the state folder lets its group in, which the pages' user is in.

    Raises PermanentError for a path with characters that need quoting in a unit.
    """
    text = (_SKELETON / SERVICE).read_text()
    for old, new in _NEWER.items() if version and version >= _RELOADS else ():
        text = text.replace(old, new)
    if version and version >= _REFRESHES:
        text = text.replace("LoadCredential=", f"{_REFRESH}LoadCredential=")
    lines = {
        "ExecStart=": f"{program} --config {config} run",
        "ExecReload=/usr/local": f"{program} --config {config} check --only-files",
        "LoadCredential=": f"gatewayd:{config}/credentials",
    }
    if web:
        lines["StateDirectoryMode="] = "0710"
    return _with(text, lines, program, config)


def web_unit(program: Path, config: Path) -> str:
    """Return the text of the unit of ``gatewayd web``. Raises PermanentError as ``unit`` does."""
    lines = {"ExecStart=": f"{program} --config {config} web", "InaccessiblePaths=": f"-{config}/credentials"}
    return _with((_SKELETON / WEB).read_text(), lines, program, config)


def _with(text: str, lines: dict[str, str], *paths: Path) -> str:
    """Return the text with other values in the lines that begin so."""
    for path in paths:
        if not _PLAIN.fullmatch(str(path)):
            advice = "Use a path of letters, digits and . _ + @ - only, beginning with /."
            raise PermanentError(f"{str(path)!r} can't stand in a unit", advice=advice)
    for start, value in lines.items():
        text = re.sub(rf"^{start}.*$", f"{start.partition('=')[0]}={value}", text, flags=re.MULTILINE)
    return text


def systemd_version(root: Path) -> int | None:
    """Return the version of the systemd that is installed below ``root``, by its library's name; None if there is none."""
    places = ("usr/lib/systemd", "usr/lib64/systemd", "lib/systemd", "usr/lib/*/systemd", "lib/*/systemd")
    names = [path.name for place in places for path in root.glob(f"{place}/libsystemd-shared-*.so")]
    found = [int(number[1]) for name in names if (number := re.match(r"libsystemd-shared-(\d+)", name))]
    return max(found, default=None)
