#!/usr/bin/env bash
# Every test, in an environment of its own with the development extras. Arguments go to pytest.
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh" dev

# A process for each core, up to four, with one thread of torch each: the tests are small, and threads would wait for
# each other. A file's tests stay together, for the models that they share.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" OMP_WAIT_POLICY=passive
python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile "$@"
