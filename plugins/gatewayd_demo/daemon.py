"""A gatewayd that goes on, ended with whoever started it: ``python -m gatewayd_demo.daemon CONFIG_FOLDER run`` or ``web``."""

from __future__ import annotations

import subprocess
import sys

from gatewayd_demo.child import hold

__all__ = ["main"]

_GRACE = 10.0


def main(folder: str, word: str) -> None:
    """Run ``gatewayd run`` or ``web`` and print its process id; end it when standard input ends, whatever way the parent ended."""
    command = [sys.executable, "-m", "gatewayd", "--config", folder, word]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr) as daemon:  # noqa: S603  our own command
        hold(daemon.pid)
        daemon.terminate()
        try:
            daemon.wait(_GRACE)
        except subprocess.TimeoutExpired:
            daemon.kill()


if __name__ == "__main__":
    main(*sys.argv[1:])
