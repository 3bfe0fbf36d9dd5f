"""What ``./gw test`` and ``./gw campaign`` run: format, lint, types, then all tests with their coverage.

Arguments go to pytest, which then runs alone and without coverage: ``./gw test tests/unit -k mail``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

#: Lines of kernel and plugins that tests must reach, in percent.
_COVERED = 95

_CHECKS = {
    "format": ["ruff", "format", "--check", "--quiet", "."],
    "lint": ["ruff", "check", "--quiet", "."],
    "types": ["mypy"],
}


def _step(name: str, command: list[str]) -> int:
    print(f"== {name}", flush=True)
    started = time.monotonic()
    code = subprocess.run([sys.executable, "-m", *command], check=False).returncode
    print(f"== {name}: {'ok' if code == 0 else 'FAILED'} ({time.monotonic() - started:.0f} s)", flush=True)
    return code


def main(arguments: list[str]) -> int:
    """Run everything, or the tests that the arguments name; return 0 only if all of it passed."""
    if arguments or os.environ.get("GATEWAYD_CAMPAIGN"):
        return _step("tests", ["pytest", *(arguments or ["-m", "campaign", "--timeout=3600"])])
    codes = [_step(name, command) for name, command in _CHECKS.items()]
    codes.append(
        _step("tests", ["pytest", "-m", "not campaign", "--cov", "--cov-report=term:skip-covered", f"--cov-fail-under={_COVERED}"])
    )
    return 1 if any(codes) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
