"""The configuration of a test's Dovecot, in the syntax of the installed version: 2.3 and 2.4 differ."""

from __future__ import annotations

import functools
import getpass
import grp
import os
import re
import resource
import subprocess
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AUDIENCE", "ISSUER", "NOBODY", "command", "configuration", "version"]

#: Who owns the mail if the server is started by root.
NOBODY = 65534

#: For whom an access token is, and who gave it.
AUDIENCE, ISSUER = "https://mail.example", "https://login.example/tenant"

#: How many files a process of the server may have open, where the system allows that many.
_OPEN_FILES = 20_000

_HERE = Path(__file__).parent
#: The first version of a language, and its file.
_LANGUAGES = {(2, 3): "dovecot-2.3", (2, 4): "dovecot-2.4"}
#: What Dovecot 2.3 has in a file of its own.
_OAUTH2 = """\
introspection_mode = local
local_validation_key_dict = fs:posix:prefix={folder}/keys/
username_attribute = upn
issuers = {issuer}
client_id = {audience}
"""


def configuration(
    binary: str, folder: Path, *, ports: Mapping[str, int], sessions: int, relay: int, settings: Mapping[str, str]
) -> str:
    """Return the text of a ``dovecot.conf`` for a server that keeps everything in ``folder``.

    ``sessions`` is how many IMAP sessions at once there may be, beyond a hundred. ``relay`` is the port of an SMTP server that gets
    what is submitted; 0: there is no submission. Access tokens are taken if ``folder`` has ``keys``. ``settings`` are top-level
    settings that override ours. Raises RuntimeError where the installed version can't be asked, or is older than 2.3.
    """
    root = os.geteuid() == 0
    uid, gid = (NOBODY, NOBODY) if root else (os.getuid(), os.getgid())
    values: dict[str, str | int] = {"folder": str(folder), "ssl": settings.get("ssl", "yes"), "uid": uid, "gid": gid}
    # A session is a process, and each is a client of several others.
    values |= {"processes": 100 + sessions, "clients": 1000 + 4 * sessions}
    values |= {"relay": relay, "issuer": ISSUER, "audience": AUDIENCE}
    parts = ["", *(["-tokens"] if (folder / "keys").exists() else []), *(["-submission"] if relay else [])]
    language = _language(version(binary))
    text = "".join(Template((_HERE / f"{language}{part}.conf").read_text()).substitute(values, **ports) for part in parts)
    (folder / "oauth2.conf").write_text(_OAUTH2.format(folder=folder, issuer=ISSUER, audience=AUDIENCE))
    if not root:
        user, group = getpass.getuser(), grp.getgrgid(gid).gr_name
        text += f"default_internal_user = {user}\ndefault_login_user = {user}\ndefault_internal_group = {group}\n"
    return text + "".join(f"{name} = {value}\n" for name, value in settings.items())


def command(binary: str, config: Path) -> list[str]:
    """Return the command that runs a server with this ``dovecot.conf``, in the foreground.

    It keeps the file of each user open that ever logged in: the usual limit of 1,024 files is too low for a run of all tests.
    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    return ["sh", "-c", f'ulimit -S -n {files}; exec "$@"', "sh", binary, "-F", "-c", str(config)]


def _language(installed: tuple[int, int]) -> str:
    known = [first for first in _LANGUAGES if first <= installed]
    if not known:
        raise RuntimeError(f"Dovecot {installed[0]}.{installed[1]} is too old; expected 2.3 or newer")
    return _LANGUAGES[max(known)]


@functools.cache
def version(binary: str) -> tuple[int, int]:
    """Return the version of this Dovecot. Raises RuntimeError where it does not say it."""
    printed = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False, timeout=60).stdout  # noqa: S603  our own command
    found = re.match(r"(\d+)\.(\d+)", printed)
    if found is None:
        raise RuntimeError(f"{binary} --version says {printed!r}; expected a version")
    return int(found[1]), int(found[2])
