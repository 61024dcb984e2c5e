#!/usr/bin/env bash
# What there is to know about xpcnn on a CUDA GPU, in stages, on a machine that may have no internet. It has not been run
# on a GPU yet.
#
#   bash ci/gpu.sh [--minutes M] [FOLDER [OPTION …]]    the report's folder (ci/results), options for python -m ci.bench
#
#   doctor       the machine, and whether each CUDA kernel agrees with the reference there
#   agreement    every layer, loss and optimizer, and a short training, on the GPU and on NumPy
#   benchmark    beside PyTorch on the same card; with --minutes its short form
#   suite        the tests that say most about a GPU first; with --minutes as many as the time allows
#   graphs       inference captured as CUDA graphs, tried and compared
#
# After each stage FOLDER/gpu.md and FOLDER/gpu.json say what is known by then, so that a run that is killed leaves all
# that it has done. A stage that fails, or that its share of the time ends, is in the report; if one failed, the status is
# 1. It takes the Python that PYTHON names (python3), with CuPy, PyTorch, pytest, pytest-xdist, hypothesis and xpcnn's
# requirements in it. To try the script without a GPU:
#
#   PYTHONPATH=$PWD/tests/stand_in SUITE=tests/nn/test_norm.py bash ci/gpu.sh --minutes 1 /tmp/report --nets lenet5
set -euo pipefail
cd "$(dirname "$0")/.."
minutes=
if [ "${1:-}" = --minutes ]; then
    [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || { echo "ci/gpu.sh: --minutes takes a whole number, such as 12" >&2; exit 2; }
    minutes=$2
    shift 2
fi
folder=${1:-ci/results}
shift || true
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONDONTWRITEBYTECODE=1 XPCNN_BACKEND=${XPCNN_BACKEND:-cupy}
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE XPCNN_IMPLEMENTATION
python=${PYTHON:-python3}
mkdir -p "$folder"
parts=$(mktemp -d)
trap 'rm -rf "$parts"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
SECONDS=0

left() { echo $((minutes * 60 - SECONDS)); }

part() { # name, percent of the whole time that it may take, command …: output, status and seconds are written down
    local name=$1 limit=$(((${minutes:-0} * 60 * $2) / 100)) status=0 begun=$SECONDS within=()
    shift 2
    if [ -n "$minutes" ]; then
        [ "$limit" -lt "$(left)" ] || limit=$(left)
        within=(timeout --signal=INT --kill-after=10 "$limit")
    fi
    printf '\n== %s\n' "$name"
    if [ -n "$minutes" ] && [ "$limit" -lt 1 ]; then
        echo "no time was left" | tee "$parts/$name.txt"
        status=124
    else
        "${within[@]}" "$@" 2>&1 | tee "$parts/$name.txt" || status=$?
    fi
    if [ "$status" = 137 ] && [ -n "$minutes" ] && [ "$((SECONDS - begun))" -ge "$limit" ]; then
        status=124 # it did not end within ten seconds of being asked to
    fi
    printf '%s %s %s\n' "$name" "$status" "$((SECONDS - begun))" >> "$parts/parts"
    report=0
    "$python" -m ci.gpu_report "$parts" "$folder" || report=$?
}

report=1
part doctor 20 "$python" -m xpcnn doctor
part agreement 25 "$python" -m ci.agreement --out "$parts/agreement.json"
part benchmark 35 "$python" -m ci.bench --backend "$XPCNN_BACKEND" --out "$parts/benchmark.json" ${minutes:+--rounds 3 --parts training inference} "$@"
# the most telling first; a path that an earlier one contains is not run twice
tests=(tests/kernels/test_cuda.py tests/ops/test_conv.py tests/ops/test_pool.py tests/ops/test_norm.py tests/ops/test_loss.py
    tests/optim tests/test_hidden_synchronisation.py tests/test_laws.py tests/test_cupy_stand_in.py tests/nn tests/ops
    tests/training tests/data tests/test_gradient_check.py tests/sklearn tests/plot tests/io tests/exchange tests)
share=100
[ -z "$minutes" ] || share=$((($(left) * 100) / (minutes * 60) - 8)) # the rest is for the graphs
part suite "$share" "$python" -m pytest -v -n "${WORKERS:-4}" -p no:cacheprovider ${SUITE:-"${tests[@]}"}
part graphs 100 "$python" -m ci.gpu_graphs --out "$parts/graphs.json"
exit "$report"
