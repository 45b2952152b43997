"""What changes a code hash and what does not, on small packages and, by mutation, on this one."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT
from mnist_hpc import report
from mnist_hpc.files.code_hash import code_hash, forget

PACKAGE = ROOT / "workflow/mnist_hpc"
STAGES = ("fetch", "convert", "train", "evaluate", "perturb", "sweep", "rank", "tabulate", "draw", "report")

SMALL = {
    "__init__.py": '__version__ = "1.0"\n',
    "stages/__init__.py": "",
    "stages/train.py": '''
"""Train."""
from mnist_hpc import __version__
from mnist_hpc.losses import squared, UNUSED, LIMITS
from mnist_hpc.console import say
from mnist_hpc import tools
from mnist_hpc.records import Record
from mnist_hpc.only_annotations import Annotated

def arguments(parser):
    parser.add_argument("--data")

def run(data: Annotated) -> None:
    """Train a model."""
    from mnist_hpc.late import later
    if not data:
        raise ValueError(f"found {data!r}, expected some data")
    say(f"trained {tools.half(data):.2f} well")
    return squared(data), later(), Record(data), LIMITS, __version__
''',
    "losses.py": "LIMITS = {1: 2}\nUNUSED = 3\nOTHER = 4\n\ndef squared(x):\n    return _power(x, 2)\n\n"
    "def _power(x, n):\n    return x ** n\n\ndef cubed(x):\n    return _power(x, 3)\n",
    "console.py": "def say(text):\n    print(text)\n",
    "tools.py": "import os\nos.environ['X'] = '1'\n\ndef half(x):\n    return x / 2\n\n"
    "def double(x):\n    return x * 2\n",
    "records.py": "from dataclasses import dataclass\n\n@dataclass\nclass Record:\n    value: int = 0\n\n"
    "    def shown(self) -> str:\n        return str(self.value)\n",
    "only_annotations.py": "class Annotated:\n    def method(self):\n        return 1\n",
    "late.py": "def register(function):\n    return function\n\n@register\ndef later():\n    return helper()\n\n"
    "def helper():\n    return 1\n\n@register\ndef extra():\n    return 5\n",
}
CHANGES = {
    "a called function": ("losses.py", "return _power(x, 2)", "return _power(x, 4)"),
    "what a called function calls": ("losses.py", "return x ** n", "return x ** n + 1"),
    "an imported constant": ("losses.py", "{1: 2}", "{1: 3}"),
    "a function called as an attribute of its module": ("tools.py", "return x / 2", "return x / 3"),
    "a statement that runs on import": ("tools.py", "'1'", "'2'"),
    "a function imported late": ("late.py", "return helper()", "return helper() + 1"),
    "what it calls": ("late.py", "return 1", "return 2"),
    "a function that its decorator may register": ("late.py", "return 5", "return 6"),
    "a decorator": ("late.py", "    return function", "    return lambda: function() + 1"),
    "a field's annotation in a class": ("records.py", "value: int", "value: float"),
    "a method": ("records.py", "str(self.value)", "repr(self.value)"),
    "an expression in a message": ("stages/train.py", "{data!r}", "{data.pop()!r}"),
    "the function that writes messages": ("console.py", "print(text)", "print(text, text)"),
    "anything in the stage's own module": ("stages/train.py", "def run", "WIDTH = 5\n\ndef run"),
}
NO_CHANGES = {
    "a function that is not called": ("losses.py", "return _power(x, 3)", "return _power(x, 5)"),
    "a constant that is not used": ("losses.py", "OTHER = 4", "OTHER = 5"),
    "a function of a module of which another is called": ("tools.py", "return x * 2", "return x * 3"),
    "a docstring": ("stages/train.py", '"""Train a model."""', '"""Train one model."""'),
    "a comment": ("losses.py", "def squared", "# A square.\ndef squared"),
    "formatting": ("losses.py", "return _power(x, 2)", "return _power(\n        x, 2,\n    )"),
    "an annotation": ("losses.py", "def squared(x):", "def squared(x: float) -> float:"),
    "a class used in annotations only": ("only_annotations.py", "return 1", "return 2"),
    "the arguments of a stage": ("stages/train.py", '"--data"', '"--data", help="train.h5"'),
    "a word of an error message": ("stages/train.py", "expected some data", "expected data, not nothing"),
    "a word of an error message, where there was none": ("stages/train.py", 'f"found {data!r},', 'f"{data!r},'),
    "a word of a line of progress": ("stages/train.py", " well", ", fine"),
    "the version": ("__init__.py", "1.0", "1.1"),
}


@pytest.fixture
def small(tmp_path):
    """Return the folder of a small package with one stage."""
    folder = tmp_path / "mnist_hpc"
    for name, text in SMALL.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def edited(folder, name, old, new):
    text = (folder / name).read_text()
    assert text.count(old) == 1
    changed = text.replace(old, new)
    ast.parse(changed)
    (folder / name).write_text(changed)
    forget()


@pytest.mark.parametrize("case", CHANGES)
def test_what_can_change_a_result_changes_the_hash(case, small):
    before = code_hash("stages.train", package=small)
    edited(small, *CHANGES[case])
    assert code_hash("stages.train", package=small) != before


@pytest.mark.parametrize("case", NO_CHANGES)
def test_what_cannot_change_a_result_does_not_change_the_hash(case, small):
    before = code_hash("stages.train", package=small)
    edited(small, *NO_CHANGES[case])
    assert code_hash("stages.train", package=small) == before


def test_data_files_and_modules_loaded_by_name_count(small, tmp_path):
    template = tmp_path / "home.jinja"
    template.write_text("a")
    before = code_hash("stages.train", "only_annotations", files=[template], package=small)
    assert before != code_hash("stages.train", files=[template], package=small)
    template.write_text("b")
    assert before != code_hash("stages.train", "only_annotations", files=[template], package=small)


def test_the_files_of_the_report_are_all_that_its_package_holds():
    found = {path for path in (PACKAGE / "report").iterdir() if path.suffix != ".py" and path.name != "__pycache__"}
    assert set(report.FILES) == found


def test_a_module_that_does_not_exist_is_an_error():
    with pytest.raises(ValueError, match=r"stages\.fly"):
        code_hash("stages.fly")


def other_pythons():
    """Return interpreters of the versions from 3.11 to 3.13 that this one is not; shims of pyenv may not start."""
    minors = {11, 12, 13} - {sys.version_info.minor}
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    names = [shutil.which(f"python3.{minor}") for minor in minors]
    names += [str(path) for minor in minors for path in pyenv.glob(f"3.{minor}.*/bin/python")]
    return sorted({name for name in names if name})


def test_other_versions_of_python_compute_the_same_hashes():
    command = "print('starts', flush=True); from mnist_hpc.files.code_hash import code_hash; "
    command += "import sys; print(*map(code_hash, sys.argv[1:]))"
    ours = [code_hash(f"stages.{stage}") for stage in STAGES]
    compared = 0
    for python in other_pythons():
        arguments = [python, "-c", command, *(f"stages.{stage}" for stage in STAGES)]
        result = subprocess.run(
            arguments, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT / "workflow")}, check=False
        )
        if result.stdout:  # a pyenv shim of a version that is not active prints nothing
            assert result.stdout.split() == ["starts", *ours], f"{python}: {result.stderr}"
            compared += 1
    if not compared:
        pytest.skip("no other version of Python from 3.11 to 3.13 is installed")


@pytest.fixture(scope="session")
def ran(tmp_path_factory):
    """Return by stage what ran in it, (module, line), as coverage saw it; see ``trace_stages.py``."""
    folder = tmp_path_factory.mktemp("traced")
    script = Path(__file__).with_name("trace_stages.py")
    result = subprocess.run([sys.executable, script, folder], capture_output=True, text=True, cwd=folder, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return json.loads((folder / "ran.json").read_text())


def functions(path):
    """Return the functions of a module, methods and nested ones included."""
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]


def body(function):
    """Return the lines of a function's own statements, without docstring and nested functions."""
    nested = {
        line
        for node in ast.walk(function)
        if isinstance(node, ast.FunctionDef) and node is not function
        for line in range(node.lineno, node.end_lineno + 1)
    }
    first = function.body[1:] if ast.get_docstring(function) is not None else function.body
    # A line with the head of the function on it runs when the module is imported.
    return {line for node in first for line in range(node.lineno, node.end_lineno + 1)} - nested - {function.lineno}


def with_statement(text, function):
    """Return a module with a statement more at the start of a function."""
    first = function.body[1] if ast.get_docstring(function) is not None and len(function.body) > 1 else function.body[0]
    line = min([first.lineno, *(decorator.lineno for decorator in getattr(first, "decorator_list", []))])
    lines = text.split("\n")
    lines.insert(line - 1, " " * first.col_offset + "mutated = 1")
    return "\n".join(lines)


@pytest.mark.slow
@pytest.mark.parametrize("stages", [1, pytest.param(99, marks=pytest.mark.campaign)], ids=["one stage", "all stages"])
def test_a_statement_more_in_any_function_that_ran_changes_the_hash_of_the_stage(ran, tmp_path, stages):
    """Of each function, one of the stages in which it ran is tried, or all of them."""
    copy = tmp_path / "mnist_hpc"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    before = {key: code_hash(*key.split(), package=copy) for key in ran}
    tried, holes = set(), []
    for path in sorted(copy.rglob("*.py")):
        name = str(path.relative_to(copy))
        lines = {key: set(found[name]) for key, found in ran.items() if name in found}
        text = path.read_text()
        for function in functions(path):
            own = body(function)
            keys = [key for key in lines if lines[key] & own]
            if not keys:
                continue
            begin = len(tried) % len(keys)
            keys = (keys[begin:] + keys[:begin])[:stages]
            path.write_text(with_statement(text, function))
            forget()
            tried.add((name, function.name, function.lineno))
            holes += [
                f"{name}: {function.name} ran in {key}"
                for key in keys
                if code_hash(*key.split(), package=copy) == before[key]
            ]
            path.write_text(text)
    print(f"functions tried: {len(tried)}, holes: {len(holes)}")
    assert not holes, "\n".join(holes)
    # The trace reaches what it is meant to reach.
    assert {f"stages.{stage}" for stage in STAGES if stage not in ("convert", "draw")} <= ran.keys()
    assert len(tried) > 200


def message_words(path):
    """Return line and column of a word in each plain text inside of a raise, or of a call of say or report."""
    lines = path.read_text().split("\n")
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
        if not isinstance(node, ast.Raise) and called not in ("say", "report"):
            continue
        for child in ast.walk(node):
            if not (isinstance(child, ast.Constant) and isinstance(child.value, str)):
                continue
            word = max(child.value.split(), key=len, default="")
            places = [
                (row, lines[row].index(word), word)
                for row in range(child.lineno - 1, child.end_lineno)
                if lines[row].count(word) == 1
            ]
            if len(word) > 2 and word.isalpha() and len(places) == 1:
                found.update(places)
    return sorted(found, reverse=True)


def test_another_word_in_every_message_changes_no_hash(tmp_path):
    copy = tmp_path / "mnist_hpc"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    kinds = [path.stem for path in (PACKAGE / "figures").glob("*.py") if path.stem not in ("__init__", "style")]
    sources = [path.stem for path in (PACKAGE / "data/sources").glob("*.py") if path.stem != "__init__"]
    keys = [(f"stages.{stage}",) for stage in STAGES]
    keys += [("stages.draw", f"figures.{kind}") for kind in kinds]
    keys += [("stages.convert", f"data.sources.{source}") for source in sources]
    before = {key: code_hash(*key, package=copy) for key in keys}
    changed = 0
    for path in sorted(copy.rglob("*.py")):
        lines = path.read_text().split("\n")
        for row, column, word in message_words(path):
            lines[row] = f"{lines[row][:column]}otherwise{lines[row][column + len(word) :]}"
            changed += 1
        path.write_text("\n".join(lines))
    assert changed > 50
    forget()
    assert {key: code_hash(*key, package=copy) for key in keys} == before
