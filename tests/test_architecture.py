"""The plan of the house, as tests that name file and line."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import gatewayd
from tests.docs import ROOMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parent.parent
KERNEL = ROOT / "gatewayd"
PLUGINS = ROOT / "plugins"

#: The names that authors of plugins import. Type checkers see the stub alone, which can't have ``__all__`` too.
PUBLIC: list[str] = vars(gatewayd)["__all__"]

#: What a plugin may import beside: the demo runs the stand-in for Microsoft, which is public for tests of plugins.
MORE = {"gatewayd_demo": "gatewayd.testing.graph"}

#: Who alone may import a library: plugins, and rooms or modules of the kernel.
OWNERS = {
    "imap_tools": {"gatewayd_imap"},
    "imaplib": {"gatewayd_imap", "gatewayd_demo"},
    "poplib": {"gatewayd_pop3"},
    "smtplib": {"gatewayd_smtp"},
    # Plugins speak HTTP by ``gatewayd.HttpClient``.
    "http": {"gatewayd.api.http"},
    "cryptography": {"gatewayd.sealing", "gatewayd_google", "gatewayd_office365.certificate"},
    "re2": {"gatewayd.config.rules"},
    "aiosmtpd": {"gatewayd_demo"},
    "sqlalchemy": {"gatewayd_sql"},
    "alembic": {"gatewayd_sql"},
    "sqlite3": {"gatewayd_csv", "gatewayd_sql"},
    "yaml": {"gatewayd.config"},
    "pluggy": {"gatewayd.api.hookspecs", "gatewayd.registry.offers"},
    "click": {"gatewayd.cli"},
    "dns": {"gatewayd.desk"},
    "rich": {"gatewayd.cli", "gatewayd_demo"},
    "pymap": {"gatewayd_demo"},
    "babel": {"gatewayd_web"},
    "starlette": {"gatewayd_web"},
    "uvicorn": {"gatewayd_web"},
    "jinja2": {"gatewayd_web"},
    "sse_starlette": {"gatewayd_web"},
    "nh3": {"gatewayd_web"},
    "argon2": {"gatewayd.access"},
    # Tests alone drive a browser.
    "playwright": set(),
    "threading": {
        "gatewayd.access",
        "gatewayd.api.hosts",
        "gatewayd.api.http",
        "gatewayd.api.token_source",
        "gatewayd.daemon",
        "gatewayd.matching",
        "gatewayd.outgoing",
        "gatewayd.registry.trial",
        "gatewayd.rpc",
        "gatewayd.runtime",
        "gatewayd.scheduler",
        "gatewayd_office365.pace",
        "gatewayd_sql.header",
    },
    "multiprocessing": {"gatewayd.matching"},
    "selectors": {"gatewayd.scheduler"},
    "watchfiles": {"gatewayd.daemon"},
    "prometheus_client": {"gatewayd.runtime.metrics"},
    "signal": {
        "gatewayd.cli",
        "gatewayd.daemon",
        "gatewayd.matching",
        "gatewayd.registry.trial",
        "gatewayd.runtime",
        "gatewayd.scheduler",
    },
    "fcntl": {"gatewayd.runtime", "gatewayd_csv"},
}

MAX_FILE, MAX_FUNCTION, MAX_NESTING = 300, 40, 3

ROLE_MODULES = {"credential", "transport", "directory", "matcher", "forwarder", "store", "command"}


def _sources(*folders: Path) -> list[Path]:
    return sorted(path for folder in folders for path in folder.rglob("*.py") if "migrations" not in path.parts)


def _imports(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yield line, module and imported name of every import, those for types too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield from ((node.lineno, node.module or "", alias.name) for alias in node.names)


def _where(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def _room(path: Path) -> str:
    """The kernel room or the plugin that a file belongs to."""
    if path.is_relative_to(PLUGINS):
        return path.relative_to(PLUGINS).parts[0]
    return path.relative_to(KERNEL).parts[0].removesuffix(".py")


def _module(path: Path) -> str:
    """The dotted name of a file of the kernel or of a plugin."""
    root = PLUGINS if path.is_relative_to(PLUGINS) else ROOT
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def _is_within(module: str, rooms: Iterable[str]) -> bool:
    return any(module == room or module.startswith(f"{room}.") for room in rooms)


def _kernel_targets(module: str, name: str) -> str | None:
    if module == "gatewayd":
        return name if (KERNEL / f"{name}.py").exists() or (KERNEL / name).is_dir() else "__init__"
    return module.split(".")[1] if module.startswith("gatewayd.") else None


def test_times_are_made_text_by_one_module_which_says_their_zone() -> None:
    wrong = []
    for path in _sources(KERNEL, PLUGINS):
        if _is_within(_module(path), {"gatewayd.api.timestamps", "gatewayd.testing"}):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            called = isinstance(node, ast.Attribute) and node.attr in {"strftime", "isoformat", "ctime", "asctime"}
            spec = isinstance(node, ast.FormattedValue) and node.format_spec is not None and "%" in ast.unparse(node.format_spec)
            if called or (spec and re.search("%[YmdHMSsj]", ast.unparse(node))):
                line = getattr(node, "lineno", 0)
                wrong.append(f"{_where(path, line)}: a time is made text by gatewayd.api.timestamps alone")
    assert not wrong, "\n".join(wrong)


def test_kernel_rooms_import_only_from_rooms_before_them() -> None:
    wrong = []
    for path in _sources(KERNEL):
        room = _room(path)
        if room in {"__init__", "__main__", "testing"}:
            continue
        assert room in ROOMS, f"{path.relative_to(ROOT)}: expected a room of ROOMS"
        for line, module, name in _imports(path):
            target = _kernel_targets(module, name)
            # The version stands there.
            if target in {None, room} or (target == "__init__" and room in {"cli", "daemon"}):
                continue
            if target not in ROOMS[: ROOMS.index(room)]:
                wrong.append(f"{_where(path, line)}: {room} may not import {target}")
    assert not wrong, "\n".join(wrong)


def test_kernel_imports_no_plugin() -> None:
    wrong = [
        f"{_where(path, line)}: the kernel may not import {module}"
        for path in _sources(KERNEL)
        for line, module, _ in _imports(path)
        if module.startswith("gatewayd_")
    ]
    assert not wrong, "\n".join(wrong)


def test_plugins_import_only_the_public_names_and_never_each_other() -> None:
    wrong = []
    for path in _sources(PLUGINS):
        for line, module, name in _imports(path):
            if module.startswith("gatewayd_") and module.split(".")[0] != _room(path):
                wrong.append(f"{_where(path, line)}: {_room(path)} may not import {module}")
            if (module.startswith("gatewayd.") and module != MORE.get(_room(path))) or (
                module == "gatewayd" and name not in PUBLIC
            ):
                wrong.append(f"{_where(path, line)}: {module}.{name} is not public")
    assert not wrong, "\n".join(wrong)


def test_each_library_has_one_owner() -> None:
    wrong = [
        f"{_where(path, line)}: {module} belongs to {', '.join(sorted(OWNERS[top])) or 'nobody yet'}"
        for path in _sources(KERNEL, PLUGINS)
        for line, module, _ in _imports(path)
        if (top := module.split(".")[0]) in OWNERS and not _is_within(_module(path), OWNERS[top] | {"gatewayd.testing"})
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("plugin", sorted(path.name for path in PLUGINS.iterdir() if path.name.startswith("gatewayd_")))
def test_every_plugin_has_the_same_inner_shape(plugin: str) -> None:
    folder = PLUGINS / plugin
    assert len((folder / "__init__.py").read_text().splitlines()) <= 35, f"{plugin}/__init__.py has more than 35 lines"
    assert (folder / "options.py").exists(), f"{plugin} lacks options.py"
    assert (folder / "sample.yaml").exists() or (folder / "command.py").exists(), f"{plugin} lacks sample.yaml"
    roles = {path.stem for path in folder.glob("*.py")} & ROLE_MODULES
    assert roles, f"{plugin} has no module named after a role, expected one of {ROLE_MODULES}"
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert plugin in declared["project"]["entry-points"]["gatewayd"].values()
    assert f"plugins/{plugin}" in declared["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]


def _nesting(node: ast.AST, depth: int = 0) -> int:
    blocks = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.Match)
    deepest = depth
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(child, ast.FunctionDef | ast.ClassDef | ast.Lambda):
                continue
            # An elif is an If alone in the orelse of another: it is no deeper than that one.
            flat = name == "orelse" and isinstance(child, ast.If) and isinstance(node, ast.If) and len(value) == 1
            deepest = max(deepest, _nesting(child, depth + (isinstance(child, blocks) and not flat)))
    return deepest


def test_files_and_functions_are_small() -> None:
    larger = {}
    for path in _sources(KERNEL, PLUGINS):
        text = path.read_text()
        lines = len(text.splitlines())
        if lines > MAX_FILE:
            larger[str(path.relative_to(ROOT))] = f"{lines} lines"
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.FunctionDef):
                continue
            place = f"{_where(path, node.lineno)} {node.name}"
            length = (node.end_lineno or 0) - node.lineno + 1
            if length >= MAX_FUNCTION:
                larger[f"{path.relative_to(ROOT)}:{node.name}"] = f"{place}: {length} lines"
            if _nesting(node) > MAX_NESTING:
                larger[f"{path.relative_to(ROOT)}:{node.name}"] = f"{place}: nested {_nesting(node)} deep"
    assert not larger, "\n".join(f"{name}: {why}" for name, why in larger.items())


def test_a_file_that_is_named_is_there() -> None:
    """A module that moves leaves its path in strings and comments, where no type checker sees it."""
    wrong = [
        f"{_where(path, number)}: {name} is no file"
        for path in _sources(KERNEL, PLUGINS, ROOT / "tests", ROOT / "bench")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for name in re.findall(r"(?<![\w/}])gatewayd\w*/[\w/]+\.py\b", line)
        if not (ROOT / name).exists() and not (PLUGINS / name).exists()
    ]
    assert not wrong, "\n".join(wrong)


def test_one_name_of_a_class_means_one_thing() -> None:
    places: dict[str, list[str]] = {}
    for path in _sources(KERNEL, PLUGINS):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(_where(path, node.lineno))
    several = {name: found for name, found in places.items() if len(found) > 1}
    assert not several, "\n".join(f"{name}: {found}" for name, found in several.items())


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        (r"policy\.default|policy=default", "policy.default raises on real mail"),
        (r"imap_tools.*MailMessage\b", "it drops text silently"),
        (r"\.expunge\(\)", "a plain EXPUNGE takes other people's deleted mail along"),
        (r"dict\[str, Any\]", "a value has a shape; give it a name"),
    ],
)
def test_what_has_lost_mail_elsewhere_is_not_used(pattern: str, why: str) -> None:
    wrong = [
        f"{_where(path, number)}: {why}"
        for path in _sources(KERNEL, PLUGINS)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(pattern, line)
    ]
    assert not wrong, "\n".join(wrong)


#: What an error is handed to that keeps it.
KEEPERS = {"append", "appendleft", "extend", "add", "put", "put_nowait", "insert", "set_exception", "setdefault"}


def _kept(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield where a handler keeps its error as it is: in a variable, a value or a future, or by returning it."""
    for handler in ast.walk(tree):
        if not isinstance(handler, ast.ExceptHandler) or not handler.name:
            continue
        above = {below: node for node in ast.walk(handler) for below in ast.iter_child_nodes(node)}
        for name in ast.walk(handler):
            if isinstance(name, ast.Name) and name.id == handler.name and isinstance(name.ctx, ast.Load):
                node = above[name]
                while isinstance(node, ast.Tuple | ast.List | ast.Set | ast.IfExp | ast.BoolOp | ast.Starred | ast.NamedExpr):
                    node = above[node]
                keeper = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in KEEPERS
                keeps = ast.Return | ast.Yield | ast.Assign | ast.AnnAssign | ast.AugAssign | ast.keyword | ast.Dict
                if keeper or isinstance(node, keeps):
                    yield name.lineno, handler.name


def test_an_error_is_kept_without_the_way_that_it_came() -> None:
    """The frames of a traceback hold all that a server said, and what we told it: see ``GatewaydError.alone`` and ``kept``."""
    wrong = [
        f"{_where(path, line)}: {name} is kept, expected {name}.alone() or kept({name})"
        for path in _sources(KERNEL, PLUGINS)
        if "testing" not in path.parts
        for line, name in _kept(ast.parse(path.read_text()))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("body", "keeps"),
    [
        ("self.error = error", True),
        ("return error", True),
        ("return [], error", True),
        ("yield Ended(error=error)", True),
        ("last = before or error", True),
        ("future.set_exception(error)", True),
        ("found.append((1, error))", True),
        ("self.error = error.alone()", False),
        ("future.set_exception(kept(error))", False),
        ("raise TransientError(str(error)) from error", False),
        ("return Answer(error=error.message)", False),
    ],
)
def test_what_keeps_an_error_is_found(body: str, *, keeps: bool) -> None:
    source = f"def f(self, before, future, found):\n    try:\n        pass\n    except OSError as error:\n        {body}\n"
    assert bool(list(_kept(ast.parse(source)))) is keeps


#: Files that read an error's message without its advice, with the reason.
MESSAGE_ALONE = {
    "gatewayd/cli/account.py": "the command waits by itself, and what it raises in the end has the advice",
    "gatewayd/cli/audit.py": "`output.error` has told the advice by then",
    "plugins/gatewayd_sql/auditing.py": "whoever asks for the check says what to do about its faults",
}
#: What has a ``message`` and is no error: bounds, and what a container holds.
NO_ERRORS = {"bounds", "file"}


def _messages_alone(tree: ast.AST) -> Iterator[int]:
    """Yield the line of each function that reads the message of an error and no advice."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        called = {id(node.func) for node in ast.walk(function) if isinstance(node, ast.Call)}
        read = {node.attr: node for node in ast.walk(function) if isinstance(node, ast.Attribute) and id(node) not in called}
        advises = "advice" in read or any(isinstance(node, ast.keyword) and node.arg == "advice" for node in ast.walk(function))
        of = ast.unparse(read["message"].value).rpartition(".")[2] if "message" in read else ""
        if of and of not in NO_ERRORS and not advises:
            yield function.lineno


def test_the_advice_of_an_error_goes_where_its_message_goes() -> None:
    """A person who reads what is wrong reads what to do about it, too: ``GatewaydError.sentences`` has both."""
    wrong = [
        f"{_where(path, line)}: a message without its advice, expected `sentences`, or the advice beside it"
        for path in _sources(KERNEL, PLUGINS)
        if str(path.relative_to(ROOT)) not in {*MESSAGE_ALONE, "gatewayd/errors.py"} and "testing" not in path.parts
        for line in _messages_alone(ast.parse(path.read_text()))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("body", "alone"),
    [
        ("return f'{folder}: {error.message}'", True),
        ("return Outcome(faults=(error.message,))", True),
        ("return error.sentences", False),
        ("return Row(error.message, error.advice)", False),
        ("raise PermanentError(error.message, advice='Make it.')", False),
        ("return self.tools.bounds.message", False),
        ("return mail.message(7)", False),
    ],
)
def test_a_message_without_its_advice_is_found(body: str, *, alone: bool) -> None:
    assert bool(list(_messages_alone(ast.parse(f"def f(self, folder, error, mail):\n    {body}\n")))) is alone


def test_only_one_place_looks_hosts_up_and_connects() -> None:
    """There each has its deadline. What systemd gave us and our own socket are no hosts, and databases are our own."""
    connects = re.compile(r"getaddrinfo|gethostby|getfqdn|create_connection|\.connect(_ex)?\(|auto_open = 1|urlopen")
    may = {"gatewayd/api/hosts.py", "gatewayd/daemon/systemd.py", "gatewayd/rpc/client.py", "gatewayd/rpc/server.py"}
    wrong = [
        f"{_where(path, number)}: {line.strip()}"
        for path in _sources(KERNEL, PLUGINS)
        if str(path.relative_to(ROOT)) not in may
        and not {"testing", "gatewayd_demo", "gatewayd_sql", "gatewayd_csv"} & set(path.parts)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if connects.search(line)
    ]
    assert not wrong, "\n".join(wrong)


def test_public_names_are_pinned() -> None:
    documented = (ROOT / "docs" / "hooks.md").read_text()
    roles = ("Transport", "Session", "Watch", "Directory", "Matcher", "Store", "Command")
    missing = [name for name in roles if f"### `{name}`" not in documented]
    assert not missing
    assert sorted(PUBLIC) == sorted(set(PUBLIC))
    assert all(hasattr(gatewayd, name) for name in PUBLIC)
    # What type checkers read is what is imported when it is asked for.
    assert sorted(name for _, _, name in _imports(KERNEL / "__init__.pyi")) == PUBLIC


def test_the_repo_speaks_of_the_project_alone() -> None:
    """No paths of one machine and no hosts of an index in what is handed out."""
    spoken = re.compile(r"/work/|/root/|files\.pythonhosted|pypi\.org/simple|/opt/")
    wrong = [
        f"{_where(path, number)}: {line.strip()[:80]}"
        for pattern in ("*.md", "*.lock", "*.toml", "gatewayd/**/*.py", "plugins/**/*.py", "docs/*.md", "bench/*.py")
        for path in ROOT.glob(pattern)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if spoken.search(line)
    ]
    assert not wrong, "\n".join(wrong)
