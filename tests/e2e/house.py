"""A whole gatewayd for a test: a config folder, and the command line run as its user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from tests.e2e.warm import warm

ROOT = Path(__file__).parent.parent.parent


class Done(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Its output as lines of JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


class House:
    """A config folder with a state folder beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "config"
        self.state = folder / "state"
        for name in ("operators", "accounts", "plugins"):
            (self.folder / name).mkdir(parents=True)
        self.write("gatewayd.yaml", f"state: {self.state}\nplugins: {{folder: plugins}}\n")
        self.write("secret", "pass\n")

    def write(self, name: str, text: str) -> Path:
        """Write a file of the config folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def account(
        self, name: str, kind: str, port: int, user: str, *, more: str = "", imports: str = "", security: str = "none"
    ) -> None:
        """Write an account of a server on this machine."""
        insecure = "insecure: true\n" if security == "none" else ""
        serves = "" if "operators:" in more or "user:" in more else "operators: [acme]\n"
        text = (
            f"kind: {kind}\n{serves}host: localhost\nport: {port}\nsecurity: {security}\n{insecure}username: {user}\n"
            f"password: !file secret\ntimeout: 20s\n{more}import:\n  folders: [INBOX]\n{imports}"
        )
        self.write(f"accounts/{name}.yaml", text)

    def operator(self, name: str, *, matchers: str = "[contacts, reservations]", more: str = "", **csv: str) -> None:
        """Write an operator with a csv directory of these files."""
        for file, text in csv.items():
            self.write(f"{name}/{file}.csv", text)
        (self.folder / name).mkdir(exist_ok=True)
        text = f"title: {name.title()} Tours\nbrands: [DB1, DB2]\ndirectory: {{kind: csv, folder: {name}}}\nmatchers: {matchers}\n{more}"
        self.write(f"operators/{name}.yaml", text)

    def start(self, *arguments: object, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """Start a command and do not wait for it."""
        command = [sys.executable, "-m", "gatewayd", "--config", str(self.folder), *map(str, arguments)]
        env = {**os.environ, "COLUMNS": "200", **(environment or {})}
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd=ROOT)

    def run(self, *arguments: object, environment: dict[str, str] | None = None, timeout: float = 240) -> Done:
        """Run a command to its end. With an environment of its own it is started anew, else it comes from the warm process."""
        if environment is None:
            return Done(
                *warm().run(["--config", str(self.folder), *map(str, arguments)], {**os.environ, "COLUMNS": "200"}, timeout)
            )
        with self.start(*arguments, environment=environment) as process:
            out, err = process.communicate(timeout=timeout)
        return Done(process.returncode, out, err)

    def good(self, *arguments: object) -> Done:
        """Run a command that must succeed."""
        done = self.run(*arguments)
        assert done.code == 0, f"{arguments}: exit code {done.code}\n{done.out}\n{done.err}"
        return done
