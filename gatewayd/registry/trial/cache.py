"""Remember the results of trials, in this process and in a file of the state folder for later ones.

A sound plugin is sound until its code changes, or what is installed beside it. One that is not is tried again some time later.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gatewayd.api.regular_files import read_regular
from gatewayd.registry.trial.values import TrialResult
from gatewayd.runtime.atomic_files import write_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewayd.registry.discovery import FoundPlugin

__all__ = ["TrialCache"]

#: Seconds for which it is remembered that a plugin is of no use.
_FAULTY = 600.0
#: How many verdicts are kept, and how large their file may be.
_MOST, _LARGEST = 500, 4 << 20

#: By the process: key, verdict, and when it was given.
_known: dict[str, tuple[TrialResult, float]] = {}


class TrialCache:
    """The verdicts of one state folder; without a file those of this process alone."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._around = _around()
        self._read = False

    def get(self, found: FoundPlugin, *, faulty: bool = True) -> TrialResult | None:
        """Return what is known of a plugin; with ``faulty`` also that it is of no use."""
        key = self._key(found)
        if key not in _known and not self._read:
            self._read = True
            for other, one in self._kept().items():
                _known.setdefault(other, one)
        verdict, at = _known.get(key, (None, 0.0))
        if verdict is None or (verdict.error and (not faulty or not 0 <= time.time() - at < _FAULTY)):
            return None
        if found.path is not None and Path(verdict.file).name == found.path.name:
            # The verdict may be about the same code in another folder.
            return replace(verdict, file=str(found.path))
        return verdict

    def put(self, verdicts: Mapping[FoundPlugin, TrialResult]) -> None:
        """Remember what was found out. Where the file can't be written, it is found out anew by the next process."""
        now = time.time()
        fresh = {self._key(found): (verdict, now) for found, verdict in verdicts.items()}
        _known.update(fresh)
        for key in sorted(_known, key=lambda key: _known[key][1])[:-_MOST]:
            del _known[key]
        if self._file is not None and fresh:
            kept = {**self._kept(), **fresh}
            newest = sorted(kept, key=lambda key: -kept[key][1])[:_MOST]
            with suppress(OSError):
                write_file(self._file, json.dumps({key: [asdict(kept[key][0]), kept[key][1]] for key in newest}).encode())

    def _key(self, found: FoundPlugin) -> str:
        return f"{self._around} {found.name} {found.fingerprint}"

    def _kept(self) -> dict[str, tuple[TrialResult, float]]:
        if self._file is None:
            return {}
        try:
            rows = json.loads(read_regular(self._file, _LARGEST))
            return {str(key): (TrialResult.of(row), float(at)) for key, (row, at) in rows.items() if key.startswith(self._around)}
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            # As good as none.
            return {}


def _around() -> str:
    """Return what tells this Python with all that is installed from another."""
    found = hashlib.sha256(sys.version.encode())
    ours = Path(__file__).parent.parent
    others = [Path(one) for one in sys.path if Path(one).name in {"site-packages", "dist-packages"}]
    for path in (*sorted(ours.glob("*.py")), *others):
        with suppress(OSError):
            found.update(f"{path} {path.stat().st_mtime_ns}".encode())
    return found.hexdigest()[:16]
