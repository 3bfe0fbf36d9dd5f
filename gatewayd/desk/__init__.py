"""Prepare and do what people do with mail: open, search, explain, retry, write, answer and forward it. The command line calls it.

What is public is listed in ``__init__.pyi``, and imported when it is first used: a list of mail needs none of it.
"""

from __future__ import annotations

from gatewayd.runtime import lazy_imports

__getattr__, __dir__, __all__ = lazy_imports.attributes(__name__, __file__)
