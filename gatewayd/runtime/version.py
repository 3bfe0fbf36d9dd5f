"""Find the version of gatewayd: its release, and the commit if it runs from a checkout or was built from one.

The build runs this module, too, so it imports nothing of gatewayd.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["__version__"]

_RELEASE = "0.1.0"
#: How many bytes of a Git file are read; the packed refs of a large repository are the largest.
_MOST = 1 << 20


def _version() -> str:
    git = next((folder / ".git" for folder in Path(__file__).resolve().parents if (folder / "gatewayd").is_dir()), None)
    if git is not None and git.exists():
        commit = _commit(git)
        return f"{_RELEASE}+g{commit[:9]}" if commit else _RELEASE
    from importlib.metadata import PackageNotFoundError, distribution  # noqa: PLC0415  it takes long, and a checkout needs none of it

    try:
        installed = distribution("gatewayd")
    except PackageNotFoundError:
        return _RELEASE
    # This may be an unpacked archive beside an installed release.
    ours = Path(str(installed.locate_file("gatewayd/runtime/version.py"))).resolve() == Path(__file__).resolve()
    return (installed.version or _RELEASE) if ours else _RELEASE


def _commit(git: Path) -> str:
    """Return the commit that is checked out (gitrepository-layout(5)); empty if it can't be found."""
    try:
        if git.is_file():
            # In a worktree, the file names its folder, and a file there names the folder that all worktrees share.
            git = git.parent / _read(git).removeprefix("gitdir:").strip()
        shared = git / _read(git / "commondir").strip() if (git / "commondir").exists() else git
        head = _read(git / "HEAD").strip()
        name = head.removeprefix("ref:").strip()
        if name == head:
            return _known(head)
        for folder in (git, shared):
            if (folder / name).is_file():
                return _known(_read(folder / name).strip())
        packed = (line.split() for line in _read(shared / "packed-refs").splitlines() if line.endswith(f" {name}"))
        return _known(next(packed, [""])[0])
    except (OSError, ValueError):
        return ""


def _read(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        return file.read(_MOST)


def _known(commit: str) -> str:
    return commit if len(commit) >= 40 and set(commit) <= set("0123456789abcdef") else ""  # noqa: PLR2004  SHA-1 has 40 digits


__version__ = _version()
