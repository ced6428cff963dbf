#!/usr/bin/env bash
# pip installs a pre-release of a package although nobody asked for one: hydra-optuna-sweeper 1.3.0 requires
# hydra-core>=1.1.0.dev7, and a bound that names a development version admits every pre-release of that package. So a
# user who adds the plugin to Hydra 1.3.8 gets the release candidate of Hydra 1.4, with one of OmegaConf 2.4.
#
# Guess: without --pre, pip takes the newest release, hydra-core 1.3.8.
# Seen (pip 23.2.1, 2026-12-01): hydra-core 1.4.0rc3, omegaconf 2.4.1rc1. The bound hydra-core==1.3.* mends it; <1.4.0rc0 takes 1.4.0.dev10.
# This fails as soon as Hydra 1.4 is released.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"

resolved() {
    "$folder/venv/bin/pip" install --quiet --dry-run --report "$folder/report.json" "$@" 2>/dev/null
    python3 - "$folder/report.json" <<'PYTHON'
import json
import sys

with open(sys.argv[1]) as file:
    found = {each["metadata"]["name"].lower(): each["metadata"]["version"] for each in json.load(file)["install"]}
print("hydra-core", found["hydra-core"], "omegaconf", found["omegaconf"])
PYTHON
}

echo "alone: $(resolved hydra-core)" | tee "$folder/seen"
echo "with the plugin: $(resolved hydra-core hydra-optuna-sweeper==1.3.0)" | tee -a "$folder/seen"
echo "with a bound: $(resolved 'hydra-core==1.3.*' hydra-optuna-sweeper==1.3.0)" | tee -a "$folder/seen"
grep -q "^alone: hydra-core [0-9.]* omegaconf [0-9.]*$" "$folder/seen"
grep -q "^with the plugin: hydra-core [0-9.]*rc[0-9]* omegaconf [0-9.]*rc[0-9]*$" "$folder/seen"
grep -q "^with a bound: hydra-core 1\.3\.[0-9]* omegaconf [0-9.]*$" "$folder/seen"
