"""Write the lock files from pyproject.toml: exact versions with their hashes, without the hosts of any index."""

from __future__ import annotations

import subprocess
import sys

#: What README installs: each kind of plugin that is our own works, with what it needs.
_PLAIN = ["--extra", "demo", "--extra", "web", "--extra", "checkout"]
#: The lock files, and with which extras each is resolved.
LOCKS = {
    "requirements.lock": _PLAIN,
    "requirements-test.lock": [*_PLAIN, "--extra", "postgresql", "--extra", "test"],
}


def main() -> int:
    """Write both files; what is locked already stays at its version unless pyproject.toml asks for another."""
    for name, extras in LOCKS.items():
        quiet = ["--quiet", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links", "--no-strip-extras"]
        done = subprocess.run(
            [sys.executable, "-m", "uv", "pip", "compile", "--universal", "--python-version", "3.11", "--generate-hashes", *quiet,
             *extras, "pyproject.toml", "-o", name],
            check=False,
        )  # fmt: skip
        if done.returncode:
            return done.returncode
        print(f"{name} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
