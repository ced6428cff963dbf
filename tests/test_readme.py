"""Test that the documents show commands, code, links and pictures that work."""

import json
import os
import re
import shlex
import subprocess
import sys
import sysconfig
from itertools import product
from pathlib import Path

import pytest
import yaml
from conftest import compose_config, resolve, thinned

import gan_runner.step
from gan_runner.cli import compare, evaluate, sample
from gan_runner.cli.flags import hydra_flags
from gan_runner.config.paths import CONF
from gan_runner.config.sweeps import parse_overrides

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "gan_runner"
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [ROOT / "README.md", ROOT / ".github" / "CONTRIBUTING.md"]
    + [path for folder in ("conf", "gan_runner", "scripts") for path in (ROOT / folder).glob("**/README.md")]
)
COMMANDS = {"gan-sample": sample.parser, "gan-eval": evaluate.parser, "gan-compare": compare.parser}
OTHER_PROGRAMS = {"pip", "uv", "pipx", "pytest", "pre-commit", "eval", "source", "wandb", "scripts/check.sh"}
OWN_CODE = "my_"
"""The start of names of modules and folders that the documents add; commands with them are run as they are typed."""

ADDED = {
    "Add a loss": ["trainer.evaluate_every=0"],
    "Add a term": ["trainer.evaluate_every=0"],
    "Add a metric": [],
    "Add a game": ["model.generator.width=4", "model.discriminator.width=4", "metric=[]", "objective=null"],
}
"""Sections of the package's document with code for the user to write, and options that make its command short."""


def text_of(document):
    return (ROOT / document).read_text(encoding="utf-8")


def blocks(text, language):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def typed_lines(document):
    """The commands of a document: the lines of its shell blocks, joined with && or alone, and code in its text."""
    text = text_of(document)
    lines = [line for block in blocks(text, "bash") for line in block.splitlines()]
    lines += re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    for line in lines:
        words = shlex.split(line.replace("\\|", "|"), comments=True) if line.count("'") % 2 == 0 else []
        while "&&" in words:
            yield words[: words.index("&&")]
            words = words[words.index("&&") + 1 :]
        yield words


def section(document, title):
    return re.search(rf"\n## {title}\n(.*?)(?=\n## [A-Z]|\Z)", text_of(document), re.DOTALL)[1]


def flattened(node, key=""):
    """The keys of nested dictionaries, with dots between them."""
    for name, value in node.items() if isinstance(node, dict) else ():
        full = f"{key}.{name}".lstrip(".")
        yield full
        yield from flattened(value, full)


@pytest.fixture(scope="module")
def known_keys():
    """Every key that a file of `conf/` sets, at the place where Hydra puts it."""
    keys = {"experiment", "logger.tags"}
    for path in CONF.glob("**/*.yaml"):
        content = path.read_text(encoding="utf-8")
        group = path.parent.relative_to(CONF).as_posix()
        keys |= set(
            flattened(yaml.safe_load(content), "" if "# @package _global_" in content or group == "." else group)
        )
    return keys


def problem_of_override(override, keys):
    """What is wrong with an option that chooses no file of `conf/`, and sets no key that one of them has."""
    group, _, _ = override.key_or_group.partition("@")
    if override.is_hydra_override() or override.is_delete() or override.is_force_add() or override.is_add():
        return None
    if (CONF / group).is_dir():
        values = override.sweep_iterator() if override.is_sweep_override() else [override.value()]
        names = [name for value in values for name in (value if isinstance(value, list) else [value])]
        known = [not name or "NAME" in name or (CONF / group / f"{name}.yaml").exists() for name in names]
        return None if all(known) else f"{group} has no {names}"
    if override.key_or_group.isupper():
        return None  # stands for any
    player = re.sub(r"^players\.\w+\.optimizer\.", "optimizer.", override.key_or_group)
    return None if {override.key_or_group, player} & keys else f"nothing sets {override.key_or_group}"


def problems_of(words, keys):
    """What is wrong with a command, as far as names of options, flags and scripts go."""
    program, *arguments = words or [""]
    if (not arguments and "=" not in program) or any(word.startswith(OWN_CODE) for word in words):
        return []
    if "gan_runner" in words:
        program, arguments = "gan-run", words[words.index("gan_runner") + 1 :]
    elif all(re.match(r"[a-z][\w.@]*=\S", word) for word in words):
        program, arguments = "gan-run", words
    if program == "gan-run":
        typed = [word.replace("…", "0") for word in hydra_flags(arguments).overrides if "=" in word or word[0] == "~"]
        own = [override for override in parse_overrides(typed) if OWN_CODE not in str(override.input_line)]
        return [problem for override in own if (problem := problem_of_override(override, keys))]
    if program in COMMANDS:
        try:
            COMMANDS[program]().parse_intermixed_args(arguments)
        except SystemExit:
            return ["its options cannot be read"]
    elif program == "python" and arguments:
        script = ROOT / arguments[0]
        source = script.read_text(encoding="utf-8")
        return [f"{script} has no {word}" for word in arguments if word.startswith("--") and f'"{word}"' not in source]
    return []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_name_options_and_files_that_exist(document, known_keys):
    assert {
        " ".join(words): found for words in typed_lines(document) if (found := problems_of(words, known_keys))
    } == {}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_programs_of_shell_blocks_are_known(document):
    for line in (line for block in blocks(text_of(document), "bash") for line in block.splitlines() if line.strip()):
        program = next(word for word in line.split() if not re.match(r"[A-Z_]+=", word))
        assert program in {*COMMANDS, *OTHER_PROGRAMS, "gan-run", "torchrun", "python"}, line


@pytest.mark.parametrize("document", DOCUMENTS)
def test_configurations_of_shell_blocks_are_accepted(document, monkeypatch, tmp_path):
    """Test that the options of each command go together. Experiments are composed elsewhere."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_photos").mkdir()
    for line in (line for block in blocks(text_of(document), "bash") for line in block.splitlines()):
        words = shlex.split(line, comments=True)
        new = any(OWN_CODE in word and "my_photos" not in word for word in words)
        if "gan-run" not in words or new or any(word.startswith("resume=") for word in words):
            continue
        typed = parse_overrides(hydra_flags(words[words.index("gan-run") + 1 :]).overrides)
        if any(override.key_or_group == "experiment" for override in typed):
            continue
        parts = [
            [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()][:3]
            if override.is_sweep_override()
            else [str(override.input_line)]
            for override in typed
            if not override.is_hydra_override()
        ]
        for overrides in product(*parts):
            try:
                resolve(compose_config(*overrides))
            except Exception as error:
                pytest.fail(f"{line}: {error}")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_and_pictures_exist(document):
    text = text_of(document)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        path = (ROOT / document).parent / name if name else ROOT / document
        assert path.exists(), target
        if anchor:
            titles = re.findall(r"^#+ (.*)", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-") for title in titles}, target


def test_every_picture_is_shown():
    text = "".join(map(text_of, DOCUMENTS))
    assert [path.name for path in (ROOT / ".github").glob("**/*.png") if f"/{path.name})" not in text] == []


def test_first_document_is_short():
    text = text_of("README.md")
    assert len(text.splitlines()) <= 200
    assert len(text.split()) <= 2000


def test_step_is_shown_as_it_is():
    (shown,) = blocks(section("README.md", "The idea"), "python")
    assert shown in Path(gan_runner.step.__file__).read_text(encoding="utf-8")


def test_package_document_names_every_module():
    tree = text_of("gan_runner/README.md")
    modules = {path.name for path in PACKAGE.glob("*.py") if not path.name.startswith("__")}
    folders = {f"{path.name}/" for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert {name for name in modules | folders if name not in tree} == set()


def test_code_is_that_of_the_package_or_is_tested():
    texts = list(map(text_of, DOCUMENTS))
    shown = [block for text in texts for language in ("python", "yaml") for block in blocks(text, language)]
    tested = [block for title in ADDED for block in blocks(section("gan_runner/README.md", title), r"\w+")]
    tested += blocks(section("conf/experiment/README.md", "Write your own"), "yaml")
    package = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.glob("**/*.py"))
    assert [block for block in shown if block not in tested and block not in package] == []


def write_files(text, folder):
    """Write the files that a section shows, each below its name."""
    for name, content in re.findall(r"`(\w\S*\.(?:py|yaml))`[^`]*\n\n```\w+\n(.*?)```", text, re.DOTALL):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")


@pytest.mark.parametrize(("title", "short"), thinned([*ADDED.items()], 4))
def test_added_code_works_as_typed(gan_run, tmp_path, title, short):
    """Test that the files of a section pass their tests, and that its command trains, resumes and samples."""
    text = section("gan_runner/README.md", title)
    write_files(text, tmp_path)
    (block,) = blocks(text, "bash")
    lines = [shlex.split(line) for line in block.splitlines()]
    for _, *arguments in (line for line in lines if line[0] == "pytest"):
        check = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
        assert subprocess.run(check, cwd=tmp_path, check=False).returncode == 0
    (line,) = (arguments for program, *arguments in lines if program == "gan-run")
    line += [*short, "trainer.steps=2", "trainer.sample_every=0", "logger.mode=disabled", "hydra.run.dir=run"]
    code, _, err = gan_run(*(word for word in line if not word.startswith("trusted")))
    assert code == 2
    (trusted,) = (word for word in line if word.startswith("trusted"))
    assert f"add '{trusted}'" in err
    code, _, err = gan_run(*line)
    assert code == 0, err
    code, out, err = gan_run("resume=run", "trainer.steps=3", trusted)
    assert code == 0, err
    assert "completed at step 3" in out
    sample.main(["run", "--n", "4", "--trust", trusted[len("trusted=[") : -1]])
    if title == "Add a game":
        summary = json.loads(Path("run/summary.json").read_text())
        assert set(summary["parameters"]) == {"discriminator", "generator", "coarse"}
        assert {"coarse/adversarial", "generator/coarse", "generator/adversarial"} <= set(summary["final"])


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A function that types a line in an environment with the installed package, whose path nothing has changed."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("environment")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"PATH": f"{folder / 'bin'}:{environment['PATH']}", "WANDB_MODE": "disabled"}
    pip = [sys.executable, "-m", "pip"]
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    subprocess.run([*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder), str(ROOT)], check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run(
        [*pip, "--python", str(folder / "bin" / "python"), "install", "-q", "--no-deps", str(wheel)], check=True
    )
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))  # its own .pth files are not read
    script = f"#!{folder / 'bin' / 'python'}\nimport pytest\n\nraise SystemExit(pytest.console_main())\n"
    (folder / "bin" / "pytest").write_text(script)
    (folder / "bin" / "pytest").chmod(0o755)

    def typed(line, cwd):
        answer = subprocess.run(["bash", "-c", line], cwd=cwd, env=environment, capture_output=True, text=True)
        return answer.returncode, answer.stdout, answer.stderr

    _, out, _ = typed("python -c 'import gan_runner; print(gan_runner.__file__)'", folder)
    assert Path(out).is_relative_to(packages)
    return typed


@pytest.mark.slow
@pytest.mark.parametrize(("title", "short"), ADDED.items())
def test_added_code_works_as_typed_where_the_package_is_installed(installed, tmp_path, title, short):
    """Test the lines of a section, then resuming, sampling, measuring and a sweep, in a shell."""
    text = section("gan_runner/README.md", title)
    write_files(text, tmp_path)
    (block,) = blocks(text, "bash")
    options = " ".join([*(f"'{option}'" for option in short), "trainer.steps=2", "trainer.sample_every=0"])
    train = next(line for line in block.splitlines() if line.startswith("gan-run"))
    (package,) = re.findall(r"trusted=\[(\w+)\]", train)
    for line in block.splitlines():
        code, _, err = installed(f"{line} {options} hydra.run.dir=run" if line == train else line, tmp_path)
        assert code == 0, (line, err)
    for line in (
        f"gan-run resume=run trainer.steps=3 'trusted=[{package}]'",
        f"gan-sample run --n 4 --trust {package}",
        f"gan-eval run --samples 50 --trust {package}",
        f"{train} {options} seeds=2",
        f"{train} {options} -m seed=0,1 hydra/launcher=joblib hydra.launcher.n_jobs=2",
    ):
        code, _, err = installed(line, tmp_path)
        assert code == 0, (line, err)
    for line, advice in {
        "gan-run resume=run trainer.steps=4": f"'trusted=[{package}]'",
        "gan-sample run": f"add --trust {package}\n",
        "gan-eval run": f"add --trust {package}\n",
    }.items():
        code, _, err = installed(line, tmp_path)
        assert code == 2
        assert advice in err


def test_working_directory_is_searched_only_for_named_packages(gan_run, tmp_path):
    here = str(tmp_path)
    gan_run("experiment=smoke", "--cfg", "job")
    assert here not in sys.path
    gan_run("experiment=smoke", "trusted=[]", "--cfg", "job")
    assert here not in sys.path
    gan_run("experiment=smoke", "trusted=[my_package]", "--cfg", "job")
    assert sys.path[-1] == here


def test_experiment_of_your_own_is_accepted(gan_run, tmp_path):
    (content,) = blocks(section("conf/experiment/README.md", "Write your own"), "yaml")
    (tmp_path / "my_conf" / "experiment").mkdir(parents=True)
    (tmp_path / "my_conf" / "experiment" / "mine.yaml").write_text(content, encoding="utf-8")
    code, out, err = gan_run("--config-dir", "my_conf", "experiment=mine", "--cfg", "job")
    assert code == 0, err
    assert "at_most: 0.05" in out
