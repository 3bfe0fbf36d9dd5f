"""A transport without a network meets the contract: it reads a Maildir (https://cr.yp.to/proto/maildir.html)."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, BinaryIO

import pytest

from gatewayd import (
    CHUNK,
    Action,
    ConfigPath,
    Failed,
    Fetched,
    Gone,
    Listed,
    Page,
    PermanentError,
    Session,
    Spool,
    TransientError,
    Transport,
)
from gatewayd.testing.contracts.transport import Site, TransportContract

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_NUMBER = count(1)


class Maildir(Transport):
    """Reads mail from Maildirs; a folder is one of them."""

    kind = "maildir"

    class Options(Transport.Options):
        """A folder of Maildirs."""

        root: ConfigPath

    options: Options

    def open(self) -> Session:
        """See ``Transport``."""
        return MaildirSession(self.options.root)


class MaildirSession(Session):
    """Each mail is a file in ``new`` or ``cur``; what stands behind a colon in its name are flags."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._aborted = False

    def _files(self, folder: str) -> dict[str, Path]:
        if self._aborted:
            raise TransientError("the session was aborted")
        here = self._root / folder
        if not (here / "cur").is_dir():
            raise PermanentError(f"there is no folder {folder!r}")
        files = [path for name in ("cur", "new") for path in (here / name).iterdir()]
        return {path.name.partition(":")[0]: path for path in sorted(files, key=lambda path: path.name)}

    def _listed(self, key: str, path: Path) -> Listed:
        found = path.stat()
        return Listed(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    def listing(self, folder: str, cursor: str | None) -> Iterator[Page]:
        """See ``Session``."""
        keys = tuple(self._listed(*one) for one in self._files(folder).items())
        yield Page(keys=keys, cursor="seen", backlog=cursor is None and bool(keys), others_gone=True, exists=len(keys))

    def look_up(self, folder: str, keys: Sequence[str]) -> Iterator[Listed]:
        """See ``Session``."""
        files = self._files(folder)
        return (self._listed(key, files[key]) for key in keys if key in files)

    def headers(self, folder: str, keys: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """See ``Session``."""
        files = self._files(folder)
        for key in keys:
            if key in files:
                with files[key].open("rb") as file:
                    yield key, _head(file)

    def fetch(self, folder: str, listed: Sequence[Listed], spool: Spool) -> Iterator[Fetched]:
        """See ``Session``."""
        files = self._files(folder)
        for one in listed:
            try:
                with files[one.key].open("rb") as file:
                    yield spool.put(one.key, iter(partial(file.read, CHUNK), b""))
            except (KeyError, FileNotFoundError):
                yield Gone(key=one.key)
            except OSError as error:
                yield Failed(key=one.key, cause=str(error.strerror))

    def settle(self, folder: str, keys: Sequence[str], action: Action) -> None:
        """See ``Session``."""
        files = self._files(folder)
        for path in (files[key] for key in keys if key in files):
            if action.do == "delete":
                path.unlink(missing_ok=True)
            elif action.do == "move":
                path.rename(self._root / action.folder / "cur" / path.name)
            elif "S" not in path.name.partition(":2,")[2]:
                name, _, flags = path.name.partition(":2,")
                path.rename(path.parent.parent / "cur" / f"{name}:2,{''.join(sorted({*flags, 'S'}))}")

    def problems(self, folders: Sequence[str], action: Action | None) -> list[str]:
        """See ``Session``."""
        wanted = [*folders, *([action.folder] if action and action.folder else [])]
        return [f"there is no folder {folder!r}" for folder in wanted if not (self._root / folder / "cur").is_dir()]

    def abort(self) -> None:
        """See ``Session``."""
        self._aborted = True

    def close(self) -> None:
        """See ``Session``."""


def _head(file: BinaryIO) -> bytes:
    lines = []
    for line in iter(lambda: file.readline(1 << 16), b""):
        lines.append(line)
        if not line.strip(b"\r\n"):
            break
    return b"".join(lines)


class MaildirSite(Site):
    """A Maildir in a folder of the test's."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("INBOX", "Done"):
            for name in ("tmp", "new", "cur"):
                (root / folder / name).mkdir(parents=True)

    def transport(self, **fields: object) -> Transport:
        return Maildir(Maildir.Options.model_validate({"root": str(self.root), **fields}), account="main")

    def deliver(self, messages: Sequence[bytes]) -> None:
        for raw in messages:
            (self.root / "INBOX" / "new" / f"{next(_NUMBER):010}.M1.host").write_bytes(raw)

    def _paths(self) -> list[Path]:
        paths = [path for name in ("cur", "new") for path in (self.root / "INBOX" / name).iterdir()]
        return sorted(paths, key=lambda path: path.name)

    def raw(self) -> Sequence[bytes]:
        return [path.read_bytes() for path in self._paths()]

    def state(self) -> object:
        return [(str(path), path.stat().st_size) for path in self._paths()]

    def remove(self, position: int) -> None:
        with suppress(FileNotFoundError):
            self._paths()[position].unlink()


class TestMaildir(TransportContract):
    """No password, no port, no silence."""

    has_network = False
    has_cursor = False
    actions = (Action(do="seen"), Action(do="delete"), Action(do="move", folder="Done"))

    @pytest.fixture
    def site(self, tmp_path: Path) -> Site:
        return MaildirSite(tmp_path)
