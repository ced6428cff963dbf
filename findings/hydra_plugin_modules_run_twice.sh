#!/usr/bin/env bash
# Hydra 1.3.8 runs the module of a plugin again when it looks for plugins, also if the program has imported it already.
# So there are two of each of its classes, and options that the program stored over the plugin's own, to change a
# default, are overwritten without a word.
#
# Guess: a module that is in sys.modules is not run again.
# Seen (omegaconf 2.3.1, Python 3.11): it runs twice; a default changed between both is lost. It holds if it is stored
# after hydra.core.plugins.Plugins.instance() was called once.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet hydra-core==1.3.8 omegaconf==2.3.1 2>/dev/null
mkdir -p "$folder/hydra_plugins/example"
touch "$folder/hydra_plugins/example/__init__.py"
cat > "$folder/hydra_plugins/example/launcher.py" <<'PYTHON'
from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
from hydra.plugins.launcher import Launcher

print("the module runs")


@dataclass
class Options:
    _target_: str = "hydra_plugins.example.launcher.Example"
    retries: int = 0


class Example(Launcher):
    def setup(self, *, hydra_context, task_function, config): ...

    def launch(self, job_overrides, initial_job_idx):
        return []


ConfigStore.instance().store(group="hydra/launcher", name="example", node=Options)
PYTHON
cat > "$folder/program.py" <<'PYTHON'
import sys
from dataclasses import dataclass

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra_plugins.example.launcher import Options


@dataclass
class Patient(Options):
    retries: int = 1000


if sys.argv[1] == "after":
    Plugins.instance()
ConfigStore.instance().store(group="hydra/launcher", name="example", node=Patient)
with hydra.initialize(version_base="1.3", config_path=None):
    config = hydra.compose(overrides=["hydra/launcher=example"], return_hydra_config=True)
print(f"stored {sys.argv[1]} the scan: retries {config.hydra.launcher.retries}")
PYTHON
cd "$folder"
for moment in before after; do venv/bin/python program.py "$moment"; done > seen
cat seen
diff seen - <<'SEEN'
the module runs
the module runs
stored before the scan: retries 0
the module runs
the module runs
stored after the scan: retries 1000
SEEN
