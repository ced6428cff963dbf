#!/usr/bin/env bash
# Run all checks, including the slow tests. Needs `pip install -e '.[dev]'`; about fifteen minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."
ruff check .
ruff format --check .
mypy
pytest -m ''
