"""Messages that tests build from a tree: parts, and multiparts of parts."""

from __future__ import annotations

from dataclasses import dataclass

from gatewayd.message.mail import BytesSource, Mail, parse

__all__ = ["Made", "many", "message", "one", "read"]


@dataclass(frozen=True)
class Made:
    """A part: its head's lines, and its body or its parts."""

    head: tuple[str, ...]
    body: bytes = b""
    parts: tuple[Made, ...] | None = None

    def written(self, boundary: str = "b", ends: bytes = b"\r\n") -> bytes:
        head = "".join(f"{line}\n" for line in self.head).encode("latin-1").replace(b"\n", ends)
        if self.parts is None:
            return head + ends + self.body.replace(b"\r\n", ends)
        inner = b"".join(
            f"--{boundary}\n".encode().replace(b"\n", ends) + part.written(f"{boundary}{number}", ends) + ends
            for number, part in enumerate(self.parts)
        )
        kind, *rest = self.head
        opened = Made((f"{kind}; boundary={boundary}", *rest)).written(ends=ends)
        return opened + inner + f"--{boundary}--\n".encode().replace(b"\n", ends)


def one(kind: str, body: str | bytes = b"", *head: str) -> Made:
    """Return a part of that type."""
    data = body if isinstance(body, bytes) else body.encode()
    return Made((f"Content-Type: {kind}", *head) if kind else head, data)


def many(kind: str, *parts: Made) -> Made:
    """Return a multipart of that subtype."""
    return Made((f"Content-Type: multipart/{kind}",), parts=parts)


def message(made: Made, ends: bytes = b"\r\n") -> bytes:
    """Return a whole message."""
    return b"From: Anna Berg <anna@x.example>" + ends + b"Subject: B-756" + ends + made.written(ends=ends)


def read(made: Made) -> Mail:
    """Return the view of a whole message."""
    return parse(BytesSource(message(made)))
