"""Test the structure of the repository: imports, private names, folders."""

import ast
import subprocess
from pathlib import Path

import pytest
from omegaconf import AnyNode, OmegaConf

import gan_runner

PACKAGE = Path(gan_runner.__file__).parent
ROOT = Path(__file__).parent.parent


def name_of(path):
    """The module name of a file, such as `gan_runner.losses.hinge`."""
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")}


def imported(tree):
    """All imports of a module, including those for types: pairs of a module and the imported name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, alias.name) for alias in node.names)


def circular(graph):
    """The nodes of a graph that lie on a circle."""
    found = set()
    for start in graph:
        seen, ahead = set(), [start]
        while ahead:
            new = graph[ahead.pop()] - seen
            seen |= new
            ahead += new
        found |= {start} & seen
    return found


def test_there_is_no_circular_import():
    graph = {}
    for name, tree in MODULES.items():
        named = {part if part in MODULES else module for module, part in imported(tree)}
        graph[name] = named & MODULES.keys() - {name}
    assert {name: sorted(graph[name] & circular(graph)) for name in circular(graph)} == {}


def test_circular_finds_exactly_the_nodes_of_a_circle():
    assert circular({"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set()}) == {"b", "c"}


PRIVATE = {name for node in (OmegaConf.create({}), OmegaConf.create([]), AnyNode()) for name in dir(node)}
PRIVATE = {name for name in PRIVATE if name.startswith("_") and not name.endswith("__")}
CONFIGURED = [
    name for name, tree in MODULES.items() if any(m.startswith(("hydra", "omega")) for m, _ in imported(tree))
]


@pytest.mark.parametrize("name", CONFIGURED)
def test_private_names_of_hydra_and_omegaconf_are_not_used(name):
    taken = [part for module, part in imported(MODULES[name]) if module.startswith(("hydra", "omegaconf"))]
    assert [part for part in taken if "._" in part] == []
    nodes = [*ast.walk(MODULES[name])]
    own = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    assert {node.attr for node in nodes if isinstance(node, ast.Attribute)} & PRIVATE - own == set()


AT_THE_TOP = {"pyproject.toml", "README.md", "gan_runner", "conf", "tests", "scripts", "outputs", "findings"}


def test_top_level_has_only_the_agreed_entries():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    visible = {line.partition("/")[0] for line in listed.stdout.splitlines() if not line.startswith(".")}
    assert visible <= AT_THE_TOP


def test_folders_of_tests_mirror_the_package():
    folders = {path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")}
    assert [str(folder) for folder in folders if not (PACKAGE / folder).is_dir()] == []
