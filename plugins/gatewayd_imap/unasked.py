"""Bound the lines and words that a server sends without being asked. Each costs the interpreter some microseconds."""

from __future__ import annotations

__all__ = ["LINES", "WORDS", "Spare"]

#: How many lines and words may come in a visit beyond what is usual.
LINES, WORDS = 50_000, 200_000
#: What is usual: so many lines for a command, so many for each message that it asks for, and so many words of it that are not
#: read at once.
_COMMAND, _MESSAGE, _SAID = 20, 3, 4


class Spare:
    """What is left of it. What is usual for what was asked takes nothing of it."""

    def __init__(self) -> None:
        self._lines, self._words = LINES, WORDS
        self._usual_lines = self._usual_words = 0

    def visit(self) -> None:
        """A visit begins: all of it is there again."""
        self._lines, self._words = LINES, WORDS

    def step(self, messages: int) -> None:
        """A command is sent that asks for so many messages."""
        self._usual_lines = _COMMAND + _MESSAGE * messages
        self._usual_words = _SAID * messages

    def line(self) -> bool:
        """Take in a line; whether it may still come."""
        self._usual_lines -= 1
        self._lines -= self._usual_lines < 0
        return self._lines >= 0

    @property
    def is_spent(self) -> bool:
        """Whether nothing is left of it."""
        return self._words <= 0 or self._lines < 0

    @property
    def words(self) -> int:
        """How many words of this step's answer may be read."""
        return self._usual_words + self._words

    def read(self, words: int) -> None:
        """Take in how many were read."""
        words = max(0, words)
        self._words -= max(0, words - self._usual_words)
        self._usual_words = max(0, self._usual_words - words)
