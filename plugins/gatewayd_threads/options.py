"""The YAML fields of the matcher ``threads``."""

from __future__ import annotations

from gatewayd import Matcher

__all__ = ["ThreadsOptions"]


class ThreadsOptions(Matcher.Options, use_attribute_docstrings=False):
    """There are none: what we have sent is known by its Message-ID."""
