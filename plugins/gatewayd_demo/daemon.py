"""The demo's daemon, ended with whoever started it: ``python -m gatewayd_demo.daemon CONFIG_FOLDER``."""

from __future__ import annotations

import subprocess
import sys

from gatewayd_demo.child import hold

__all__ = ["main"]

_GRACE = 10.0


def main(folder: str) -> None:
    """Run ``gatewayd run`` and print its process id; end it when standard input ends, whatever way the parent ended."""
    command = [sys.executable, "-m", "gatewayd", "--config", folder, "run"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr) as daemon:  # noqa: S603  our own command
        hold(daemon.pid)
        daemon.terminate()
        try:
            daemon.wait(_GRACE)
        except subprocess.TimeoutExpired:
            daemon.kill()


if __name__ == "__main__":
    main(*sys.argv[1:])
