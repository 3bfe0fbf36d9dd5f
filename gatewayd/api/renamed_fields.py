"""Let values that name the holder of a lease be read by the field's former name, ``owner``, for one release."""

from __future__ import annotations

import warnings

__all__ = ["HasHolder"]


class HasHolder:
    """A value with the field ``holder``, which was called ``owner``."""

    __slots__ = ()
    holder: str

    @property
    def owner(self) -> str:
        """The holder, with a warning that the field is called that now."""
        warnings.warn(f"{type(self).__name__}.owner is called holder now", DeprecationWarning, stacklevel=2)
        return self.holder
