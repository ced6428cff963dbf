#!/usr/bin/env bash
# joblib 1.6.0: in its processes the start method of multiprocessing is joblib's own, "loky", and multiprocessing.Process
# cannot be started. So whatever starts processes by the default method, such as a data loader with workers, fails in a
# parallel job although it works alone.
#
# Guess: a process of joblib has the platform's start method, or refuses children as daemons do.
# Seen (Linux, Python 3.11): start method loky; AttributeError: 'Process' object has no attribute 'env'.
# A context of one's own works: multiprocessing.get_context("fork").Process(…).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet joblib==1.6.0 2>/dev/null
cat > "$folder/run.py" <<'PYTHON'
import multiprocessing

from joblib import Parallel, delayed


def started(process):
    try:
        process.start()
        process.join()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "started"


def attempts():
    default = started(multiprocessing.Process(target=int))
    by_fork = started(multiprocessing.get_context("fork").Process(target=int))
    return f"{multiprocessing.get_start_method()}; by default: {default}; by fork: {by_fork}"


if __name__ == "__main__":
    print("alone:", attempts())
    print("in a job:", *set(Parallel(n_jobs=2)(delayed(attempts)() for _ in range(2))))
PYTHON
"$folder/venv/bin/python" "$folder/run.py" > "$folder/seen"
cat "$folder/seen"
diff "$folder/seen" - <<'SEEN'
alone: fork; by default: started; by fork: started
in a job: loky; by default: AttributeError: 'Process' object has no attribute 'env'; by fork: started
SEEN
