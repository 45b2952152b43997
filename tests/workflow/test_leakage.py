"""The test images decide nothing: whatever is trained, tuned or chosen is the same without them."""

import ast
import re

from conftest import ROOT, TUNED, copy_project, snakemake

RESULTS = "results/digits"
DATA = (f"{RESULTS}/data/train.h5", f"{RESULTS}/data/test.h5")
CHOSEN = (
    f"{RESULTS}/sweeps/rates/points.csv",
    f"{RESULTS}/sweeps/rates/best.json",
    f"{RESULTS}/runs/regression/seeds-0-1/history.csv",
    f"{RESULTS}/runs/tuned/seeds-0-1/history.csv",
)


def without_times(text):
    """Return a table without the times of history.csv and without checksums."""
    return re.sub(r"(,[\d.e-]+)?,[0-9a-f]{12}$", "", text, flags=re.MULTILINE)


def test_training_sweeps_and_choice_are_the_same_without_a_test_file(tmp_path):
    found = []
    for case in ("whole", "absent", "unreadable"):
        project = copy_project(tmp_path / case, TUNED)
        assert snakemake(project, *DATA).returncode == 0
        test = project / DATA[1]
        if case == "absent":
            test.unlink()
        elif case == "unreadable":
            test.write_bytes(b"no HDF5")
        result = snakemake(project, *CHOSEN)
        assert result.returncode == 0, result.stdout
        assert "started: convert" not in result.stdout
        found.append([without_times((project / file).read_text()) for file in CHOSEN])
        if case == "unreadable":
            result = snakemake(project)
            assert result.returncode != 0
            assert f"{DATA[1]}: " in result.stdout
    assert found[0] == found[1] == found[2]


def test_no_rule_but_those_that_write_and_evaluate_it_names_the_test_file(tmp_path):
    project = copy_project(tmp_path / "study", TUNED)
    printed = snakemake(project, "-n", "-p").stdout
    # Each job from its rule's line to the next one's, with its files and its command.
    jobs = re.findall(r"^(?:local)?rule (\w+):(.*?)(?=^(?:local)?rule |^Job stats)", printed, re.MULTILINE | re.DOTALL)
    assert {"convert", "train", "sweep", "rank", "evaluate", "tabulate"} <= {rule for rule, _ in jobs}
    assert {rule for rule, text in jobs if "test.h5" in text} == {"convert", "evaluate"}


def test_no_module_but_the_one_that_writes_it_names_the_test_file():
    naming = set()
    for path in (ROOT / "workflow" / "mnist_hpc").rglob("*.py"):
        tree = ast.parse(path.read_text())
        documents = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, DOCUMENTED)}
        texts = {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        if any("test.h5" in text for text in texts - documents):
            naming.add(path.stem)
    # __main__ names it in the help of `evaluate`.
    assert naming == {"datasets", "__main__"}


DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
