#!/usr/bin/env bash
# What there is to know about xpcnn on a CUDA GPU, on a machine that may have no internet: the suite on CuPy, how far
# GPU and CPU agree, the benchmark beside PyTorch on the same card; and one report of all three. It has not been run on
# a GPU yet.
#
#   bash ci/gpu.sh [FOLDER [OPTION …]]    the report's folder (ci/results), and options for python -m ci.bench
#
# It takes the Python that PYTHON names (python3), with CuPy, PyTorch, pytest, pytest-xdist, hypothesis and xpcnn's
# requirements in it. A part that fails is in the report, and the status is 1. To try the script without a GPU:
#
#   PYTHONPATH=$PWD/tests/stand_in SUITE=tests/nn bash ci/gpu.sh /tmp/report --quick --nets lenet5
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-ci/results}
shift || true
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} PYTHONDONTWRITEBYTECODE=1 XPCNN_BACKEND=${XPCNN_BACKEND:-cupy}
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE XPCNN_IMPLEMENTATION
python=${PYTHON:-python3}
"$python" -m xpcnn doctor  # what is missing is said before anything is run
parts=$(mktemp -d)
trap 'rm -rf "$parts"' EXIT

part() { # name, command …: its output is shown and kept, its status and seconds are written down
    local name=$1 status=0 begun=$SECONDS
    shift
    printf '\n== %s\n' "$name"
    "$@" 2>&1 | tee "$parts/$name.txt" || status=$?
    printf '%s %s %s\n' "$name" "$status" "$((SECONDS - begun))" >> "$parts/parts"
}

part suite "$python" -m pytest -q -n "${WORKERS:-4}" -p no:cacheprovider --junitxml="$parts/suite.xml" ${SUITE:-}
part agreement "$python" -m ci.agreement --out "$parts/agreement.json"
part benchmark "$python" -m ci.bench --backend "$XPCNN_BACKEND" --out "$parts/benchmark.json" "$@"
"$python" -m ci.gpu_report "$parts" "$folder"
