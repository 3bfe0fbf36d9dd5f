"""A bare Debian, as a new user's: a minimal root file system with nothing but Python, and no network."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.built import built_once
from tests.e2e.house import ROOT, Done

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = ["Bare"]


class Bare:
    """A root file system, built once in ``.cache`` of the checkout; what commands change in it is forgotten after each."""

    def __init__(self, suite: str, packages: Iterable[str]) -> None:
        include = ",".join(["python3", *packages])
        command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={include}", suite]
        # A comma would be one of the overlay's options.
        tree = ROOT / ".cache" / f"{suite}-with-{include.replace(',', '-')}"
        self._tree = built_once(tree, lambda new: subprocess.run([*command, str(new)], check=True))

    def run(self, script: str, *, folder: Path, binds: Mapping[Path, str], environment: Mapping[str, str]) -> Done:
        """Run a script with sh, as root, in a folder of the host that is ``/project`` there; ``binds`` can only be read."""
        flags = ["--quiet", "--register=no", "--keep-unit", "--pipe", "--private-network", "--volatile=overlay", "--as-pid2"]
        command = [
            "systemd-nspawn",
            *flags,
            f"--directory={self._tree}",
            f"--bind={folder}:/project",
            *(f"--bind-ro={here}:{there}" for here, there in binds.items()),
            *(f"--setenv={name}={value}" for name, value in environment.items()),
            "--chdir=/project",
            "sh",
            "-eu",
            "-c",
            script,
        ]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=1200)
        return Done(done.returncode, done.stdout, done.stderr)
