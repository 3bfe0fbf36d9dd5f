"""Let values be read by a field's former name, ``owner``, for one release: the holder of a lease, or the user of personal mail."""

from __future__ import annotations

import warnings

__all__ = ["HasHolder", "HasUser"]


class HasHolder:
    """A value with the field ``holder``, which was called ``owner``."""

    __slots__ = ()
    holder: str

    @property
    def owner(self) -> str:
        """The holder, with a warning that the field is called that now."""
        warnings.warn(f"{type(self).__name__}.owner is called holder now", DeprecationWarning, stacklevel=2)
        return self.holder


class HasUser:
    """A value with ``user``, whose personal mail it is, which was called ``owner``."""

    __slots__ = ()
    user: str | None

    @property
    def owner(self) -> str | None:
        """The user, with a warning that the field is called that now."""
        warnings.warn(f"{type(self).__name__}.owner is called user now", DeprecationWarning, stacklevel=2)
        return self.user
