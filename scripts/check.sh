#!/usr/bin/env bash
# Everything that can be checked, the slow tests included. Needs `pip install -e '.[dev]'`; about fifteen minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."
ruff check .
ruff format --check .
mypy
pytest -m ''
