#!/usr/bin/env bash
# Prove and measure the kernels on a machine with a GPU, from a bare checkout and with the machine's own torch and triton.
# Usage: bash scripts/gpu_check.sh [--wheels DIR] [--out DIR] [--rehearse] STAGE...
#   stages: tests attention step step-big step-small decode (all of them where none is named); each takes at most 8
#                  minutes. step is the loss and the training step of a base model, then of a big one and of a small one
#   --wheels DIR   wheels of what the machine lacks beside torch, triton and numpy; nothing is fetched from the network:
#                  pytest pluggy iniconfig packaging pygments pydantic pydantic-core annotated-types typing-extensions
#                  typing-inspection PyYAML sentencepiece safetensors; those of peers may be left away, and then are not
#                  measured: ctranslate2; transformers tokenizers regex typer click tqdm huggingface-hub hf-xet filelock
#                  fsspec httpx httpcore h11 anyio certifi idna
#   --out DIR      where the JSON tables go (gpu_check by default)
#   --rehearse     tiny sizes; without a GPU in Triton's interpreter, to see that the stages run
# Each stage prints its table last. Exit code 0: all stages passed; 1: one failed; 2: wrong arguments or no GPU.

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
            [ $# -ge 2 ] || { echo "$1 takes a directory. Received: none." >&2; exit 2; }
            [ "$1" = --out ] && out="$2" || wheels="$2"
            shift
            ;;
        --rehearse) rehearse=--rehearse ;;
        tests | attention | step | step-big | step-small | decode) stages+=("$1") ;;
        *)
            echo "An argument is --wheels DIR, --out DIR, --rehearse or a stage: ${all[*]}. Received: $1." >&2
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
    [ -d "$wheels" ] || { echo "--wheels takes a directory. Received: $wheels." >&2; exit 2; }
    # beside the machine's packages: its torch and triton stay as they are
    "$python" -m pip install --quiet --no-deps --no-index --target "$out/packages" --upgrade "$wheels"/*.whl
    export PYTHONPATH="$out/packages${PYTHONPATH:+:$PYTHONPATH}"
fi
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"

if ! "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' && [ -z "$rehearse" ]; then
    echo "A CUDA device is required. Received: none. Use --rehearse to see the stages run without one." >&2
    exit 2
fi

run_tests() {
    local selection=(-m gpu)
    [ -z "$rehearse" ] || selection=(-k "any_layout or empty_history or without_gradients")
    # conftest files above the kernels need packages that they do not
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
