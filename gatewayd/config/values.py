"""The config as frozen values: equality of two tells whether something changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gatewayd.config.models import Start
    from gatewayd.errors import Fault
    from gatewayd.model import Action, Address
    from gatewayd.options import Secret
    from gatewayd.plugins import Registry
    from gatewayd.roles import Directory, Matcher, Transport
    from gatewayd.store import Store

__all__ = ["AccountConfig", "Config", "ImportConfig", "OperatorConfig", "SecretUse", "UserConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UserConfig:
    """A user of an operator."""

    #: The full name, for people.
    name: str
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorConfig:
    """A tour operator, as its file says."""

    name: str
    title: str = ""
    brands: tuple[str, ...] = ()
    #: None where the operator has no directory.
    directory_kind: str | None = None
    directory_options: Directory.Options | None = None
    #: (kind, options) in the order of the file.
    matchers: tuple[tuple[str, Matcher.Options], ...] = ()
    #: By the word that YAML and the command line use.
    users: Mapping[str, UserConfig] = field(default_factory=dict)
    #: The file has faults: mail is filed for the operator, with the fault ``config`` and without any matching.
    faulty: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportConfig:
    """What is imported from an account, and how often."""

    folders: tuple[str, ...] = ("INBOX",)
    #: Seconds between two visits.
    every: float = 60.0
    enabled: bool = True
    start: Start = "all"
    #: For each kind of owner the types of contact whose mail is admitted; empty: all mail is.
    contact_types: Mapping[Literal["customer", "supplier"], tuple[str, ...]] = field(default_factory=dict)
    error_queue: str = "errors"
    #: What is done on the server once a mail is filed; None: nothing.
    after: Action | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountConfig:
    """A mailbox, as its file says."""

    #: The file's name. State hangs on it.
    name: str
    #: The transport.
    kind: str
    description: str = ""
    #: The operators that it serves; for a personal account the user's one.
    operators: tuple[str, ...]
    #: For a personal account the user of that one operator, else None.
    user: str | None = None
    options: Transport.Options
    #: How many sessions may be open at once, the transport's own limit included; None: as many as the server bears.
    connections: int | None = 2
    #: None: nothing is imported.
    imports: ImportConfig | None = None
    #: Addresses that mail may be forwarded to.
    approved: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretUse:
    """A reference to a secret, and where it stands."""

    file: str
    line: int
    column: int
    secret: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole config folder: what can be used of it, and what is wrong with the rest."""

    #: The config folder, absolute.
    folder: Path
    #: The state folder, absolute.
    state: Path
    store_kind: str
    store_options: Store.Options
    #: The folder of single-file plugins, if there is one.
    plugins_folder: Path | None = None
    #: The plugins that the options above belong to.
    registry: Registry = field(repr=False, compare=False)
    operators: Mapping[str, OperatorConfig] = field(default_factory=dict)
    #: The accounts without faults.
    accounts: Mapping[str, AccountConfig] = field(default_factory=dict)
    #: Every fault of every operator and account, by file and line.
    faults: tuple[Fault, ...] = ()
    #: Every reference to a secret, in all files.
    secrets: tuple[SecretUse, ...] = ()
