"""A forwarder without a network meets the contract: it writes a line for each mail to a file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from gatewayd import ConfigPath, Courier, Forwarder, Receipt, Recipient, TransientError, filing_row
from gatewayd.testing.contracts.forwarder import ForwarderContract, Goal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gatewayd import Parcel


class Journal(Forwarder):
    """Writes filings to a file, a line of JSON each."""

    kind = "journal"

    class Options(Forwarder.Options):
        """The file."""

        file: ConfigPath

    options: Options

    def open(self) -> Courier:
        """See ``Forwarder``."""
        return JournalCourier(self.options.file)


class JournalCourier(Courier):
    """Appends to the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def deliver(self, parcels: Sequence[Parcel]) -> Iterator[Receipt]:
        """See ``Courier``."""
        for parcel in parcels:
            line = json.dumps({"key": parcel.message_id, "mail": filing_row(parcel.filing)})
            try:
                with self._path.open("a") as file:
                    file.write(f"{line}\n")
            except OSError as error:
                raise TransientError(f"{self._path}: {error.strerror}") from error
            yield Receipt(id=parcel.id, recipients=tuple(Recipient(address=one, state="delivered") for one in parcel.to))

    def abort(self) -> None:
        """See ``Courier``."""

    def close(self) -> None:
        """See ``Courier``."""


class JournalGoal(Goal):
    """A file of the test's."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def forwarder(self) -> Forwarder:
        return Journal(Journal.Options(file=self.path), name="acme/journal")

    def taken(self) -> Sequence[str]:
        return [json.loads(line)["key"] for line in self.path.read_text().splitlines()] if self.path.exists() else []


class TestJournal(ForwarderContract):
    """No silence, nobody who is away."""

    has_network = False

    @pytest.fixture
    def goal(self, tmp_path: Path) -> Goal:
        return JournalGoal(tmp_path / "journal")


def test_a_disk_that_is_full_leaves_it_undecided(tmp_path: Path) -> None:
    forwarder = JournalGoal(tmp_path / "missing" / "journal").forwarder()
    with pytest.raises(TransientError, match="No such file"):
        list(forwarder.open().deliver(ForwarderContract().parcels(JournalGoal(tmp_path), 1)))
