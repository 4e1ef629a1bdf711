#!/usr/bin/env bash
# Every test, in an environment of its own with the development extras. Arguments go to pytest.
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh" dev

export OMP_WAIT_POLICY=passive  # idle threads that spin take the cores from those that work
python -m pytest "$@"
