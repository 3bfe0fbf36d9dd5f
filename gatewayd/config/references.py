"""Check what the config refers to outside its files: secrets, CA files, and the credentials that systemd hands over."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from gatewayd.api.endpoint import tls_context
from gatewayd.config import main
from gatewayd.config.consents import key_of
from gatewayd.config.signing_key import KEY_FILE, load_signer
from gatewayd.config.yaml_documents import read
from gatewayd.errors import AuthError, ConfigError, Fault, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewayd.config.values import Config
    from gatewayd.config.yaml_documents import YamlPath

__all__ = ["ca_files", "outside_faults"]

_CREDENTIALS = "credentials"
#: Limits of systemd for a folder of credentials (systemd.exec(5), LoadCredential): names of plain ASCII without a colon, with
#: its own word before them; and all of them together have to fit into 1 MiB.
_NAME = re.compile(r"[ -9;-~]{1,240}")
_MOST_FILES, _MOST_BYTES = 1000, 1 << 20


def outside_faults(config: Config) -> tuple[Fault, ...]:
    """Return a fault for everything outside of the config's files that they name and that can't be used now.

    These are secrets that can't be revealed or used, certificates, and files among the credentials that keep systemd from
    starting the service. Secrets are read, and none is kept.
    """
    return tuple(sorted({*_secrets(config), *_kept_key(config), *_certificates(config), *_credentials(config)}))


def _kept_key(config: Config) -> Iterator[Fault]:
    """Yield the fault of the key in the state folder, as far as this user can read it. No key is made here."""
    if config.signing_key is not None or not (config.state / KEY_FILE).exists():
        return
    try:
        load_signer(None, config.state)
    except (ConfigError, TransientError) as error:
        if not isinstance(error.__cause__, PermissionError):
            yield Fault(file=main.FILE, what=error.sentences)


def _secrets(config: Config) -> Iterator[Fault]:
    for use in config.secrets:
        try:
            if (use.file, use.secret) == (main.FILE, config.signing_key):
                load_signer(use.secret, config.state)
            elif use.file == main.FILE and use.secret == config.sealing_key:
                key_of(use.secret)
            elif use.file == main.FILE and use.secret in config.old_sealing_keys:
                key_of(use.secret, "old_sealing_keys")
            else:
                use.secret.reveal()
        except (AuthError, ConfigError) as error:
            yield Fault(file=use.file, line=use.line, column=use.column, what=error.sentences)


def ca_files(config: Config) -> Iterator[tuple[str, YamlPath, Path]]:
    """Yield the CA files that a config names, each with the file and the place that name it.

    One of a shared credential is named in ``gatewayd.yaml`` alone.
    """
    named: list[tuple[str, YamlPath, object]] = [
        (main.FILE, ("credentials", name), one) for name, one in config.credentials.items()
    ]
    for name, account in config.accounts.items():
        named += [(f"accounts/{name}.yaml", (), account.options)]
        if not account.credential:
            named += [(f"accounts/{name}.yaml", ("credential",), getattr(account.options, "credential", None))]
    for name, operator in config.operators.items():
        named += [(f"operators/{name}.yaml", ("targets", target), one.options) for target, one in operator.targets.items()]
    named += [(main.FILE, ("notify",), config.notify_options)]
    for file, place, options in named:
        ca_file = getattr(options, "ca_file", None)
        if isinstance(ca_file, Path):
            yield file, (*place, "ca_file"), ca_file


def _certificates(config: Config) -> Iterator[Fault]:
    for file, place, ca_file in ca_files(config):
        try:
            tls_context(ca_file)
        except ConfigError as error:
            yield read(file, folder=config.folder).fault(place, error.sentences)


def _credentials(config: Config) -> Iterator[Fault]:
    folder = config.folder / _CREDENTIALS
    try:
        files = sorted(path for path in folder.rglob("*") if not path.is_dir())
        sizes = {path: path.stat().st_size if path.is_file() else None for path in files}
    except OSError:
        # Not there, or root's alone: then nothing is known of it.
        return
    for path, size in sizes.items():
        shown = path.relative_to(config.folder).as_posix().encode("ascii", "backslashreplace").decode()
        if not _NAME.fullmatch(path.relative_to(folder).as_posix()):
            yield Fault(
                file=shown, what="systemd refuses this name, and then the whole service: expected plain ASCII without a colon"
            )
        if size is None:
            yield Fault(file=shown, what="systemd can't hand this over, expected a regular file")
    if len(files) > _MOST_FILES:
        yield Fault(file=_CREDENTIALS, what=f"systemd hands over about {_MOST_FILES} files at most, found {len(files)}")
    if sum(filter(None, sizes.values())) > _MOST_BYTES:
        yield Fault(file=_CREDENTIALS, what="systemd hands over 1 MiB at most, found more")
