"""Write the text of a new account's file, and check it before there is such a file."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gatewayd.config.account import account
from gatewayd.config.checker import Checker
from gatewayd.config.scalars import written
from gatewayd.config.yaml_documents import read
from gatewayd.errors import ConfigError

if TYPE_CHECKING:
    from gatewayd.config.values import AccountConfig, Config

__all__ = ["AccountDraft", "drafted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountDraft:
    """What a person has said of a new mailbox."""

    kind: str
    host: str
    #: None: the standard one.
    port: int | None
    security: Literal["tls", "starttls"]
    username: str
    #: A reference: the tag and its name.
    password: tuple[str, str]
    #: Either these or ``user``, as ``operator/user``.
    operators: tuple[str, ...] = ()
    user: str = ""
    ca_file: str = ""

    def text(self) -> str:
        """Return the file's text."""
        serves = f"user: {written(self.user)}" if self.user else f"operators: [{', '.join(map(written, self.operators))}]"
        tag, name = self.password
        lines = [
            "# The file's name is the account's name, and state hangs on it: see `gatewayd account rename`.",
            f"kind: {written(self.kind)}",
            serves,
            f"host: {written(self.host)}",
            *([f"port: {self.port}"] if self.port else []),
            f"security: {self.security}",
            *([f"ca_file: {written(self.ca_file)}"] if self.ca_file else []),
            f"username: {written(self.username)}",
            f"password: {tag} {written(name)}",
            "import:",
            "  folders: [INBOX]",
            "  start: all  # all | now | 2026-01-31: what a folder's first listing takes",
            "  after: keep  # keep | seen | {move: Imported} | delete",
        ]
        return "\n".join([*lines, ""])


def drafted(config: Config, name: str, text: str) -> AccountConfig:
    """Return the account that ``accounts/NAME.yaml`` with this text would be; raises ConfigError with the text's faults."""
    with tempfile.TemporaryDirectory(prefix="gatewayd-") as folder:
        copy = Path(folder, "draft.yaml")
        copy.write_text(text, encoding="utf-8")
        document = read(f"accounts/{name}.yaml", folder=config.folder, copy=copy)
    checker = Checker(document, folder=config.folder)
    # A draft has no times of day.
    found = account(checker, config.registry, config.operators, {**config.credentials}, time_zone="UTC")
    if found is None:
        raise ConfigError(f"account {name} can't be made of this", faults=checker.faults)
    return found
