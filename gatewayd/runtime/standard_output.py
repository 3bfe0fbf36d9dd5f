"""Keep what plugins print out of standard output, which belongs to the command's own answer."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["standard_output_kept"]


@contextmanager
def standard_output_kept() -> Iterator[None]:
    """Redirect everything that is printed meanwhile, by Python or by libraries in C, to standard error."""
    sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError:
        # Standard output is closed.
        yield
        return
    try:
        os.dup2(2, 1)
        # In a test, ``sys.stdout`` does not write to file 1.
        with redirect_stdout(sys.stderr):
            yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
