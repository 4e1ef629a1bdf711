# Sourced by the other scripts: create .venv beside the project and install the package into it.
# Usage: source scripts/environment.sh [EXTRA]

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

environment="${TRANSLATOR_VENV:-.venv}"
extra="${1:+[$1]}"

if [ ! -x "$environment/bin/python" ]; then
    python=""
    for candidate in python3 python3.13 python3.12 python3.11; do
        if command -v "$candidate" > /dev/null &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
            python="$candidate"
            break
        fi
    done
    if [ -z "$python" ]; then
        echo "Python 3.11 or newer is required. Received: $(python3 --version 2>&1 || echo none)." >&2
        exit 2
    fi
    "$python" -m venv "$environment"
fi

# Install torch first. Nothing is downloaded if an installed torch is in the supported range.
if ! "$environment/bin/python" -c 'import torch' 2> /dev/null; then
    "$environment/bin/python" -m pip install --quiet "torch==2.13.0" ||
        "$environment/bin/python" -m pip install --quiet "torch>=2.11,<2.14"
fi
"$environment/bin/python" -m pip install --quiet --editable ".$extra"
PATH="$PWD/$environment/bin:$PATH"
export PATH
