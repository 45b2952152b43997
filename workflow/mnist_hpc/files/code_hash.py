"""Hash the code that a stage runs: what decides, beside data and specification, whether a result is stale.

The hash covers the stage's module, and from there every function, class and constant of the package that it refers
to, however indirectly, as well as statements that run on import. It follows names: ``from module import name`` leads
to that name alone. What cannot change a result does not count: comments, docstrings, formatting, annotations outside
of class bodies, the function ``arguments`` of a stage, the version number, and message texts, which are string
constants inside ``raise`` or inside a call of ``say`` or ``report``. The hash is equal under Python 3.11 to 3.13.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parents[1]
HASH_DIGITS = 12
# Fields of syntax trees that say nothing of what runs, or that not every version of Python has.
SKIPPED = {"ctx", "kind", "type_comment", "type_params", "returns", "annotation"}
MESSAGES = {"say", "report"}
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)

# A module and one of its names; no name: the statements that run when it is imported.
Place = tuple[str, str]


@dataclass
class _Module:
    """A module of the package.

    Attributes:
        definitions: Statements that define each of its names.
        imports: Where each imported name comes from: a module of the package, and a name in it ("" for the module).
        effects: Statements that run on import and define nothing, and their imports.
    """

    definitions: dict[str, list[ast.AST]] = field(default_factory=dict)
    imports: dict[str, Place] = field(default_factory=dict)
    effects: list[ast.AST] = field(default_factory=list)


def code_hash(*modules: str, files: Iterable[Path] = (), package: Path = PACKAGE) -> str:
    """Return a short hash of the code that starts in these modules.

    Args:
        modules: Names below the package, as ``stages.train``; modules that a stage loads by name are listed too.
        files: Data files that the stage reads beside its inputs.
        package: Folder of the package.
    """
    digest = hashlib.sha256()
    for place, nodes in sorted(reached(modules, package).items()):
        digest.update(repr(place).encode())
        for node in nodes:
            digest.update(_text(node).encode())
    for path in sorted(files):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:HASH_DIGITS]


def reached(modules: Sequence[str], package: Path = PACKAGE) -> dict[Place, list[ast.AST]]:
    """Return the statements that count for a hash, by module and name."""
    found: dict[Place, list[ast.AST]] = {}
    todo: list[Place] = []
    for name in modules:
        todo += _all(name, package)
        todo = [place for place in todo if not (place[0].startswith("stages.") and place[1] == "arguments")]
    while todo:
        place = todo.pop()
        if place in found or place[1] == "__version__":
            continue
        module = _module(place[0], package)
        if place[1] and place[1] not in module.definitions:
            if place[1] in module.imports:  # passed on by the module
                todo.append(module.imports[place[1]])
            continue
        nodes = found[place] = module.definitions[place[1]] if place[1] else module.effects
        above = place[0].rpartition(".")[0] if place[0] else ""
        todo += [
            (place[0], ""),
            (above, ""),
            *(target for node in nodes for target in _targets(node, place[0], module, package)),
        ]
        if not place[1]:
            todo += [(target, "") for target, _ in module.imports.values()]
    return found


def _targets(node: ast.AST, name: str, module: _Module, package: Path) -> Iterator[Place]:
    """Yield the places that a statement refers to."""
    imports = module.imports | dict(_imported(node, package))
    for word, attribute in _words(node):
        if word in imports:
            target, symbol = imports[word]
            if symbol:
                yield target, symbol
            elif attribute:
                yield from _attribute(target, attribute, package)
            else:  # passed around as an object: any of its names may be used
                yield from _all(target, package)
        elif word in module.definitions:
            yield name, word


@cache
def _words(node: ast.AST) -> frozenset[tuple[str, str]]:
    """Return the names in a statement, each with the attribute that is read from it, or an empty string."""
    return frozenset(
        (child.id, parent.attr if isinstance(parent, ast.Attribute) else "")
        for child, parent in _walk(node)
        if isinstance(child, ast.Name)
    )


def _all(module: str, package: Path) -> Iterator[Place]:
    """Yield all names of a module, and what it does on import."""
    yield module, ""
    yield from ((module, name) for name in _module(module, package).definitions)


def _attribute(module: str, name: str, package: Path) -> Iterator[Place]:
    """Yield the place that an attribute of a module is: one of its names, or a module below it."""
    below = f"{module}.{name}".lstrip(".")
    if _source(below, package):
        yield from _all(below, package)
    else:
        yield module, name


def _walk(node: ast.AST, parent: ast.AST | None = None) -> Iterator[tuple[ast.AST, ast.AST | None]]:
    """Yield a node and all below it, each with its parent, without annotations."""
    yield node, parent
    for name, value in ast.iter_fields(node):
        if name not in SKIPPED:
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _walk(child, node)


def forget() -> None:
    """Read the files again at the next hash: a process reads each once, as it imports it once."""
    _source.cache_clear()
    _module.cache_clear()


@cache
def _source(module: str, package: Path) -> Path | None:
    """Return the file of a module of the package; None if there is none."""
    place = package.joinpath(*filter(None, module.split(".")))
    for path in (place / "__init__.py", place.with_suffix(".py")):
        if path.is_file():
            return path
    return None


@cache
def _module(name: str, package: Path) -> _Module:
    """Return the statements of a module, sorted by what they do."""
    path = _source(name, package)
    if path is None:
        raise ValueError(f"{package} has no module {name!r}")
    return _parsed(path.read_text(encoding="utf-8"), package)


@cache
def _parsed(text: str, package: Path) -> _Module:
    """Return the statements of a module, sorted by what they do."""
    module = _Module()
    for node in ast.parse(text).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            module.imports.update(_imported(node, package))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            module.definitions.setdefault(node.name, []).append(node)
            decorators = {name for decorator in node.decorator_list for name in _names(decorator)}
            if decorators & (module.definitions.keys() | module.imports.keys()):  # it may register what it decorates
                module.effects.append(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) and (names := _bound(node)):
            for bound in names:
                module.definitions.setdefault(bound, []).append(node)
        elif not _is_text(node) and not (isinstance(node, ast.If) and _names(node.test) == {"TYPE_CHECKING"}):
            module.effects.append(node)
            module.imports.update(_imported(node, package))
            for bound in _bound(node):
                module.definitions.setdefault(bound, []).append(node)
    return module


def _bound(node: ast.AST) -> set[str]:
    """Return the names that a statement binds; none if it also changes an object, as ``a.b = c`` does."""
    targets = [child for child, _ in _walk(node) if isinstance(getattr(child, "ctx", None), ast.Store)]
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) and not all(
        isinstance(target, ast.Name | ast.Tuple | ast.List) for target in targets
    ):
        return set()
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _names(node: ast.AST) -> set[str]:
    """Return the last words of all names in an expression."""
    return {getattr(child, "attr", getattr(child, "id", "")) for child, _ in _walk(node)} - {"", "typing"}


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


@cache
def _imported(node: ast.AST, package: Path) -> tuple[tuple[str, Place], ...]:
    """Return the names that imports in a statement bind to something of the package, and what that is."""
    found: list[tuple[str, Place]] = []
    for child, _ in _walk(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                root, _, rest = alias.name.partition(".")
                if root == package.name:
                    found.append((alias.asname or root, (rest if alias.asname else "", "")))
        elif isinstance(child, ast.ImportFrom):
            root, _, origin = (child.module or "").partition(".")
            if child.level:
                raise ValueError(f"line {child.lineno}: found a relative import, which code hashes do not follow")
            if root != package.name:
                continue
            for alias in child.names:
                below = f"{origin}.{alias.name}".lstrip(".")
                place = (below, "") if _source(below, package) else (origin, alias.name)
                found.append((alias.asname or alias.name, place))
    return tuple(found)


@cache
def _text(node: ast.AST) -> str:
    """Return what counts of a statement as text."""
    return _dumped(node)


def _dumped(node: Any, *, message: bool = False, in_class: bool = False) -> str:
    """Return a syntax tree as text, without what does not count."""
    if isinstance(node, list):
        return f"[{','.join(_dumped(item, message=message, in_class=in_class) for item in node)}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    if isinstance(node, ast.Constant):
        return "str" if message and isinstance(node.value, str) else f"{type(node.value).__name__} {node.value!r}"
    message = message or isinstance(node, ast.Raise) or _is_message(node)
    fields = []
    for name, found in ast.iter_fields(node):
        value = found
        counts = name not in SKIPPED or (name == "annotation" and in_class and isinstance(node, ast.AnnAssign))
        if not counts or value is None or value == []:
            continue
        if isinstance(node, DOCUMENTED) and name == "body" and ast.get_docstring(node, clean=False) is not None:
            value = value[1:]
        if isinstance(node, ast.JoinedStr):
            value = [part for part in value if not _is_empty(part) and not (message and isinstance(part, ast.Constant))]
            if message and not value:
                return "str"
        inside = isinstance(node, ast.ClassDef) and name == "body"
        fields.append(f"{name}={_dumped(value, message=message, in_class=inside)}")
    return f"{type(node).__name__}({','.join(fields)})"


def _is_message(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MESSAGES


def _is_empty(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value == ""
