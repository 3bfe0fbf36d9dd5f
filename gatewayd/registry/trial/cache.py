"""Remember the results of trials, in this process and in a file of the state folder for later ones.

A sound plugin stays sound until its code or the installed packages change. One that failed is tried again after a while.
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

#: Seconds for which a failed trial is remembered.
_FAULTY = 600.0
#: How many results are kept, and the largest size of their file in bytes.
_MOST, _LARGEST = 500, 4 << 20

#: The results that this process knows, with the time of each.
_known: dict[str, tuple[TrialResult, float]] = {}


class TrialCache:
    """The results in a file of the state folder; without a file only those of this process."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._around = _around()
        self._read = False

    def get(self, found: FoundPlugin, *, faulty: bool = True) -> TrialResult | None:
        """Return the result that is remembered for a plugin, if any; failures only with ``faulty``."""
        key = self._key(found)
        if key not in _known and not self._read:
            self._read = True
            for other, one in self._kept().items():
                _known.setdefault(other, one)
        result, at = _known.get(key, (None, 0.0))
        if result is None or (result.error and (not faulty or not 0 <= time.time() - at < _FAULTY)):
            return None
        if found.path is not None and Path(result.file).name == found.path.name:
            # The same code may have been tried in another folder.
            return replace(result, file=str(found.path))
        return result

    def put(self, results: Mapping[FoundPlugin, TrialResult]) -> None:
        """Remember results. If the file can't be written, the next process tries these plugins again."""
        fresh = {self._key(found): (result, time.time()) for found, result in results.items()}
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
            # An unreadable file counts as empty.
            return {}


def _around() -> str:
    """Return a hash of this Python and the times of gatewayd's code and of the folders with installed packages."""
    found = hashlib.sha256(sys.version.encode())
    ours = Path(__file__).parent.parent
    others = [Path(one) for one in sys.path if Path(one).name in {"site-packages", "dist-packages"}]
    for path in (*sorted(ours.glob("*.py")), *others):
        with suppress(OSError):
            found.update(f"{path} {path.stat().st_mtime_ns}".encode())
    return found.hexdigest()[:16]
