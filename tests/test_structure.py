"""The house: no circle of imports, nothing private of Hydra, and everything where one looks for it."""

import ast
import subprocess
from pathlib import Path

import pytest
from omegaconf import AnyNode, OmegaConf

import gan_runner

PACKAGE = Path(gan_runner.__file__).parent
ROOT = Path(__file__).parent.parent


def name_of(path):
    """A file as it is imported: `gan_runner.losses.hinge`."""
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")}


def imported(tree):
    """What a module imports, anywhere in it and also for its types alone: by the module, and by what is taken of it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, alias.name) for alias in node.names)


def circular(graph):
    """The nodes that one can come back to."""
    found = set()
    for start in graph:
        seen, ahead = set(), [start]
        while ahead:
            new = graph[ahead.pop()] - seen
            seen |= new
            ahead += new
        found |= {start} & seen
    return found


def test_no_module_imports_itself_by_way_of_others():
    graph = {}
    for name, tree in MODULES.items():
        named = {part if part in MODULES else module for module, part in imported(tree)}
        graph[name] = named & MODULES.keys() - {name}
    assert {name: sorted(graph[name] & circular(graph)) for name in circular(graph)} == {}


def test_a_circle_is_seen_and_what_leads_to_it_or_from_it_is_none():
    assert circular({"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}) == {"b", "c"}


PRIVATE = {name for node in (OmegaConf.create({}), OmegaConf.create([]), AnyNode()) for name in dir(node)}
PRIVATE = {name for name in PRIVATE if name.startswith("_") and not name.endswith("__")}
CONFIGURED = [
    name for name, tree in MODULES.items() if any(m.startswith(("hydra", "omega")) for m, _ in imported(tree))
]


@pytest.mark.parametrize("name", CONFIGURED)
def test_nothing_private_of_hydra_or_omegaconf_is_used(name):
    taken = [part for module, part in imported(MODULES[name]) if module.startswith(("hydra", "omegaconf"))]
    assert [part for part in taken if "._" in part] == []
    nodes = [*ast.walk(MODULES[name])]
    own = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    assert {node.attr for node in nodes if isinstance(node, ast.Attribute)} & PRIVATE - own == set()


AT_THE_TOP = {"pyproject.toml", "README.md", "gan_runner", "conf", "tests", "scripts", "outputs", "findings"}


def test_the_top_holds_what_it_is_to_hold_and_nothing_else():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout, beside which anything may lie")
    visible = {line.partition("/")[0] for line in listed.stdout.splitlines() if not line.startswith(".")}
    assert visible <= AT_THE_TOP


def test_every_folder_of_tests_mirrors_one_of_the_package():
    folders = {path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")}
    assert [str(folder) for folder in folders if not (PACKAGE / folder).is_dir()] == []
