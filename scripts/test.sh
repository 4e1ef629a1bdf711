#!/usr/bin/env bash
# Run every test in .venv, with the development extras. Arguments are passed to pytest.
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh" dev

# One process per core, up to four, with one torch thread each: the tests are too small for several threads. The tests of
# a file run in one process, because they share models.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" OMP_WAIT_POLICY=passive
python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile "$@"
