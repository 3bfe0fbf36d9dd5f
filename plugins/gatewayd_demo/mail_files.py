"""Mail as numbered files of a folder, between the demo and its servers: each is there whole, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["files", "messages", "put"]


def put(folder: Path, number: int, message: bytes) -> None:
    """Put a message into a folder under a number, which one there may have had."""
    part = folder / f"{number:06}.part"
    part.write_bytes(message)
    part.rename(part.with_suffix(".eml"))


def files(folder: Path) -> list[Path]:
    """Return the files of a folder, in the order of their numbers."""
    return sorted(folder.glob("*.eml"))


def messages(folder: Path) -> list[bytes]:
    """Return the messages of a folder, in the order of their numbers."""
    return [path.read_bytes() for path in files(folder)]
