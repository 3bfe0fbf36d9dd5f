"""Find secrets of which the running daemon has an older copy than the config names, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.cli import output
from gatewayd.config.secret_copies import copies_of
from gatewayd.errors import Fault
from gatewayd.runtime.instance import process_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from gatewayd.api.options import Secret
    from gatewayd.cli.app import App
    from gatewayd.config.secret_copies import SecretCopies
    from gatewayd.config.values import SecretUse

__all__ = ["SecretAges", "other_copies"]


def other_copies(app: App) -> Iterator[Fault]:
    """Yield a fault for each place in the config whose secret differs from the daemon's copy, with advice."""
    yield from (Fault(file=use.file, line=use.line, column=use.column, what=what) for use, what in _stale(app))


def _stale(app: App) -> Iterator[tuple[SecretUse, str]]:
    daemons = copies_of(app.config.state)
    for use in app.config.secrets:
        found = next((what for copies in daemons.values() if (what := _said(app, use, copies))), "")
        if found:
            yield use, found


def _said(app: App, use: SecretUse, copies: SecretCopies) -> str:
    copy = copies.by_name.get(str(use.secret))
    if copy is None:
        return ""
    # The daemon reads other secrets anew at each log-in. Its environment variables are not this shell's.
    kept = use.secret.by == "credential" or use.secret == app.config.signing_key
    if (copy.mark and not kept) or not copies.is_other(use.secret):
        return ""
    if not copy.mark:
        do = "see that the service's user may read it" if use.secret.by == "file" else "`systemctl restart gatewayd` takes it over"
        return f"the running service has not got {use.secret}, which can be had here: {do}"
    do = "`systemctl restart gatewayd` takes the new one over"
    return f"the running service has an older copy of {use.secret}, since {output.minute(copy.since)}: {do}"


class SecretAges:
    """When daemons read the secrets of accounts."""

    def __init__(self, app: App) -> None:
        self._daemons = copies_of(app.config.state)
        self._secrets: dict[str, list[Secret]] = {}
        for file, secret in app.config.secrets_by_file():
            self._secrets.setdefault(file, []).append(secret)
        self._others = {str(use.secret): what for use, what in _stale(app)}

    def since(self, account: str, holder: str) -> datetime | None:
        """Return when the daemon ``holder`` read the secret of an account; None if unknown."""
        copies = self._daemons.get(process_of(holder))
        return copies.since(self._secrets.get(f"accounts/{account}.yaml", ())) if copies else None

    def other(self, account: str) -> str:
        """Return the fault of a secret that differs from the daemon's copy; empty if they are the same."""
        secrets = map(str, self._secrets.get(f"accounts/{account}.yaml", ()))
        return next((self._others[one] for one in secrets if one in self._others), "")
