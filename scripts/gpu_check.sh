#!/usr/bin/env bash
# Test and benchmark the kernels on a machine with a GPU, from a checkout, with the machine's own torch and triton.
# Usage: bash scripts/gpu_check.sh [--wheels DIR] [--out DIR] [--config FILE] [--rehearse] [CALL | STAGE...]
#   CALL           call-a (at most 450 s, the default): card, smoke, tests, attention, relu, step, loss, decode.
#                  call-b (at most 270 s), which reads the results of call-a in --out: train and peers if its tests
#                  passed; otherwise retest and step-eager
#   STAGE          one or more of these, or step-big and step-small; each has its own time limit
#   --wheels DIR   wheels of the packages that the machine lacks beside torch, triton and numpy; nothing is downloaded:
#                  pytest pluggy iniconfig packaging pygments pydantic pydantic-core annotated-types typing-extensions
#                  typing-inspection PyYAML sentencepiece safetensors. Optional, to run the tests in eight processes:
#                  pytest-xdist execnet; for train: datasets and what it requires; for the baselines: ctranslate2;
#                  transformers tokenizers regex typer click tqdm huggingface-hub hf-xet filelock fsspec httpx httpcore
#                  h11 anyio certifi idna
#   --out DIR      directory of the JSON tables (default: gpu_check)
#   --config FILE  configuration of train (default: configs/multi30k.yaml; its data must be there)
#   --rehearse     smoke test: tiny sizes; without a GPU in Triton's interpreter
# Rows are printed and written when they are measured, beside a prediction. A stage that fails or runs out of time ends
# neither the call nor, but for smoke, the stages after it.
# Exit code 0: all stages passed; 1: one failed; 2: invalid arguments or no GPU.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

declare -A limits=(  # seconds
    [card]=15 [smoke]=30 [tests]=130 [attention]=50 [relu]=20 [step]=140 [loss]=25 [decode]=40
    [train]=170 [peers]=100 [retest]=130 [step-eager]=140 [step-big]=480 [step-small]=480
)
call_a=(card smoke tests attention relu step loss decode)
names="call-a call-b card smoke tests attention relu step loss decode train peers retest step-eager step-big step-small"

out=gpu_check
config=configs/multi30k.yaml
wheels=""
rehearse=""
call=""
stages=()
while [ $# -gt 0 ]; do
    case "$1" in
        --wheels | --out | --config)
            [ $# -ge 2 ] || { echo "$1 requires a path." >&2; exit 2; }
            case "$1" in --out) out="$2" ;; --config) config="$2" ;; *) wheels="$2" ;; esac
            shift
            ;;
        --rehearse) rehearse=--rehearse ;;
        call-a | call-b) call="$1" ;;
        *)
            [ -n "${limits[$1]:-}" ] || {
                echo "Arguments must be options, a call or stages: $names. Received: $1." >&2
                exit 2
            }
            stages+=("$1")
            ;;
    esac
    shift
done
if [ -n "$call" ] && [ ${#stages[@]} -gt 0 ]; then
    echo "A call and stages are mutually exclusive. Received: $call ${stages[*]}." >&2
    exit 2
fi

python="${PYTHON:-python3}"
mkdir -p "$out"
out="$(cd "$out" && pwd)"
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-4}" CUBLAS_WORKSPACE_CONFIG=:4096:8 PYTHONUNBUFFERED=1
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

limit=10000
if [ ${#stages[@]} -eq 0 ] && [ "$call" != call-b ]; then
    stages=("${call_a[@]}")
    limit=450
elif [ "$call" = call-b ]; then
    [ -f "$out/tests.json" ] || { echo "call-b requires the results of call-a in --out. Run call-a first." >&2; exit 2; }
    stages=(retest step-eager)
    ! grep -q '"passed": true' "$out/tests.json" || stages=(train peers)
    limit=270
fi

run_tests() {  # NAME PYTEST_OPTIONS...
    local name="$1"
    shift
    rm -f "$out/$name.xml"
    echo '{"passed": false}' > "$out/$name.json"
    # The conftest files above tests/kernels need packages that the kernels do not.
    "$python" -m pytest tests/kernels --confcutdir tests/kernels -rs --durations 5 -o cache_dir="$out/pytest" \
        --junitxml "$out/$name.xml" "$@" && echo '{"passed": true}' > "$out/$name.json"
}

run_stage() {
    local few=(-k "any_layout or empty_history or without_gradients or supports_infinite") selection=(-m gpu)
    [ -z "$rehearse" ] || selection=("${few[@]}")
    case "$1" in
        card) "$python" benchmarks/measuring.py $rehearse --json "$out/card.json" ;;
        smoke) run_tests smoke -x "${few[@]}" ;;
        tests)
            ! "$python" -c 'import xdist' 2> /dev/null || [ -n "$rehearse" ] || selection+=(-n 8)
            run_tests tests "${selection[@]}"
            ;;
        retest) TRANSLATOR_CHECK=1 run_tests retest --last-failed "${selection[@]}" ;;
        attention) "$python" benchmarks/attention.py $rehearse --json "$out/attention.json" ;;
        relu) "$python" benchmarks/gpu_relu_linear.py $rehearse --json "$out/relu.json" ;;
        step)
            "$python" benchmarks/gpu_training_step.py $rehearse --size base --ours --json "$out/step-base.json" \
                --kernels "$out/step-base-kernels.json"
            ;;
        step-eager)
            TRANSLATOR_CHECK=1 "$python" benchmarks/gpu_training_step.py $rehearse --size base --ours --eager \
                --json "$out/step-eager.json" --kernels "$out/step-eager-kernels.json"
            ;;
        step-big) "$python" benchmarks/gpu_training_step.py $rehearse --size big --json "$out/step-big.json" ;;
        step-small) "$python" benchmarks/gpu_training_step.py $rehearse --size small --ours --json "$out/step-small.json" ;;
        loss) "$python" benchmarks/gpu_loss.py $rehearse --json "$out/loss.json" ;;
        decode) "$python" benchmarks/gpu_decoding.py $rehearse --ours --json "$out/decode.json" ;;
        peers)
            "$python" benchmarks/gpu_training_step.py $rehearse --size base --peers --json "$out/step-peers.json"
            "$python" benchmarks/gpu_decoding.py $rehearse --peers --json "$out/decode-peers.json"
            ;;
        train)
            local options=(training.precision=bfloat16 training.compile=true training.cuda_graphs=true)
            [ -z "$rehearse" ] || options=(training.max_steps=2 training.warmup_steps=1 training.validate_every=2 training.save_every=2)
            "$python" -m translator train "$config" output="$out/run" "${options[@]}"
            ;;
    esac
}
export -f run_stage run_tests
export out python rehearse config

failed=0
for stage in "${stages[@]}"; do
    seconds=$((limit - SECONDS < limits[$stage] ? limit - SECONDS : limits[$stage]))
    [ -n "$rehearse" ] && seconds=600
    [ "$seconds" -gt 0 ] || { echo "## $stage left out: the call took ${SECONDS} s"; failed=1; continue; }
    echo "## $stage (at most $seconds s)"
    # An interrupt lets pytest report what has failed so far.
    timeout --signal=INT --kill-after=10 "$seconds" bash -euo pipefail -c 'run_stage "$1"' stage "$stage" || {
        echo "## $stage failed: exit $?" >&2
        failed=1
        [ "$stage" != smoke ] || break
    }
done
exit $failed
