"""Certificates of an app for Microsoft Entra, as openssl makes them and administrators have them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["MADE", "made", "openssl"]

#: What the docs say.
MADE = ("req", "-x509", "-newkey", "rsa:2048", "-noenc", "-subj", "/CN=gatewayd")


def openssl(*arguments: str) -> bytes:
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=120).stdout


def made(folder: Path, name: str = "app", *, days: int = 730, how: tuple[str, ...] = MADE) -> tuple[str, str]:
    """Return a new key and its certificate as PEM."""
    key, certificate = folder / f"{name}.key", folder / f"{name}.crt"
    openssl(*how, "-days", str(days), "-keyout", str(key), "-out", str(certificate))
    return key.read_text(), certificate.read_text()
