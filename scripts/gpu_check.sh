#!/usr/bin/env bash
# Test and benchmark the kernels on a machine with a GPU, from a checkout, with the machine's own torch and triton.
# Usage: bash scripts/gpu_check.sh [--wheels DIR] [--out DIR] [--rehearse] STAGE...
#   STAGE          tests, attention, step, step-big, step-small or decode (default: all); at most 8 minutes each. step
#                  measures the loss and the training step of a base model; step-big and step-small other sizes
#   --wheels DIR   wheels of the packages that the machine lacks beside torch, triton and numpy; nothing is downloaded:
#                  pytest pluggy iniconfig packaging pygments pydantic pydantic-core annotated-types typing-extensions
#                  typing-inspection PyYAML sentencepiece safetensors. Optional, for the baselines: ctranslate2;
#                  transformers tokenizers regex typer click tqdm huggingface-hub hf-xet filelock fsspec httpx httpcore
#                  h11 anyio certifi idna
#   --out DIR      directory of the JSON tables (default: gpu_check)
#   --rehearse     smoke test: tiny sizes; without a GPU in Triton's interpreter
# Each stage prints its table last. Exit code 0: all stages passed; 1: one failed; 2: invalid arguments or no GPU.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

out=gpu_check
wheels=""
rehearse=""
stages=()
all=(tests attention step step-big step-small decode)
while [ $# -gt 0 ]; do
    case "$1" in
        --wheels | --out)
            [ $# -ge 2 ] || { echo "$1 requires a directory." >&2; exit 2; }
            [ "$1" = --out ] && out="$2" || wheels="$2"
            shift
            ;;
        --rehearse) rehearse=--rehearse ;;
        tests | attention | step | step-big | step-small | decode) stages+=("$1") ;;
        *)
            echo "Arguments must be --wheels DIR, --out DIR, --rehearse or a stage: ${all[*]}. Received: $1." >&2
            exit 2
            ;;
    esac
    shift
done
[ ${#stages[@]} -gt 0 ] || stages=("${all[@]}")

python="${PYTHON:-python3}"
mkdir -p "$out"
out="$(cd "$out" && pwd)"
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-4}" CUBLAS_WORKSPACE_CONFIG=:4096:8
if [ -n "$wheels" ]; then
    [ -d "$wheels" ] || { echo "--wheels must be an existing directory. Received: $wheels." >&2; exit 2; }
    # Installed apart, so that the machine's torch and triton do not change.
    "$python" -m pip install --quiet --no-deps --no-index --target "$out/packages" --upgrade "$wheels"/*.whl
    export PYTHONPATH="$out/packages${PYTHONPATH:+:$PYTHONPATH}"
fi
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"

if ! "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' && [ -z "$rehearse" ]; then
    echo "A CUDA device is required. Received: none. Use --rehearse for a smoke test without one." >&2
    exit 2
fi

run_tests() {
    local selection=(-m gpu)
    [ -z "$rehearse" ] || selection=(-k "any_layout or empty_history or without_gradients")
    # The conftest files above tests/kernels need packages that the kernels do not.
    "$python" -m pytest tests/kernels --confcutdir tests/kernels -rs --durations 5 \
        --junitxml "$out/tests.xml" "${selection[@]}"
    "$python" - "$out" << 'PYTHON'
import json, pathlib, sys
from xml.etree import ElementTree

out = pathlib.Path(sys.argv[1])
suite = next(ElementTree.parse(out / "tests.xml").iter("testsuite"))
counts = {key: int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped")}
(out / "tests.json").write_text(json.dumps({"title": "tests", "rows": [counts]}, indent=1))
print("# tests: " + ", ".join(f"{key} {value}" for key, value in counts.items()))
PYTHON
}

run_stage() {
    case "$1" in
        tests) run_tests ;;
        attention) "$python" benchmarks/attention.py $rehearse --json "$out/attention.json" ;;
        step)
            "$python" benchmarks/gpu_loss.py $rehearse --json "$out/loss.json"
            "$python" benchmarks/gpu_training_step.py $rehearse --size base --json "$out/step-base.json"
            ;;
        step-big) "$python" benchmarks/gpu_training_step.py $rehearse --size big --json "$out/step-big.json" ;;
        step-small) "$python" benchmarks/gpu_training_step.py $rehearse --size small --ours --json "$out/step-small.json" ;;
        decode) "$python" benchmarks/gpu_decoding.py $rehearse --json "$out/decode.json" ;;
    esac
}
export -f run_stage run_tests
export out python rehearse

failed=0
for stage in "${stages[@]}"; do
    echo "## $stage"
    timeout 480 bash -euo pipefail -c 'run_stage "$1"' stage "$stage" || { echo "## $stage failed: exit $?" >&2; failed=1; }
done
exit $failed
