#!/usr/bin/env bash
# Runs every check on a copy of the tree; the README's commands run exactly as they are written there.
set -euo pipefail
cd "$(dirname "$0")/.."
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$copy"
cd "$copy"
# as on a user's machine: OpenBLAS chooses its kernels by the processor
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE XPCNN_BACKEND XPCNN_IMPLEMENTATION XPCNN_DATA
unset XPCNN_NUM_THREADS XPCNN_CACHE_MIB XPCNN_NUMBA OMP_NUM_THREADS OPENBLAS_NUM_THREADS MKL_NUM_THREADS
unset PYTHONDONTWRITEBYTECODE  # each process would compile the library again

step() { printf '\n== %s (%s s)\n' "$*" "$SECONDS"; }
readme() { grep -m1 -- "$1" README.md; }  # the README's command line that matches

step "the README's main command"
bash -ec "$(readme 'xpcnn train digits$')"

step "the README's test command: NumPy, read-only NumPy, array-api-strict"
bash -ec "$(readme 'bin/pytest -n auto$')"

export PATH="$PWD/.venv/bin:$PATH"
step "lint and types"
pip install -q -e '.[dev]'
ruff check .
ruff format --check .
mypy
mypy --explicit-package-bases --follow-imports=silent ci/agreement.py ci/gpu_graphs.py ci/gpu_report.py ci/kill_processes.py ci/larger_than_memory.py ci/onnx_nodes.py ci/scaling.py ci/reliability ci/site.py tests/typed_program.py

if ! command -v chromium > /dev/null; then
    step "a browser, to open the pages that xpcnn explain makes"
    apt-get update -qq && apt-get install -y -qq chromium > /dev/null
fi
# A test without the fixture `xp` runs on NumPy (tests/conftest.py). So files in which there is none, and which do not
# name the library, are the same on every backend; so are the tests that run and kill commands.
tests_of() {  # a library, folders and files
    grep -rliE --include='test_*.py' --exclude-dir={cli,course,distributed} \
        --exclude=test_{gpu_script,reliability,reliability_files}.py "\bxp\b|$1" "${@:2}" | sort
}
step "the suite on PyTorch tensors, and with PyTorch as a witness"
pip install -q torch==2.13.0
XPCNN_BACKEND=torch pytest -q -n 2 $(tests_of torch tests)
step "what computes on arrays, on array-api-strict alone, whose second device refuses arrays of the host"
XPCNN_BACKEND=array_api_strict pytest -q -n 2 $(tests_of array.api.strict tests/test_*.py tests/{ops,nn,optim,training,data,models})
step "what computes on arrays, and the examples, on a stand-in for CuPy"
(
    export PYTHONPATH=$PWD/tests/stand_in XPCNN_BACKEND=cupy
    pytest -q -n 2 $(tests_of cupy tests/test_*.py tests/kernels/test_cuda*.py tests/{ops,nn,optim,training,data,plot,sklearn})
    for example in examples/*.py; do
        python "$example" --tiny > /dev/null
    done
)
step "all numbers of the architectures beside torchvision's; files of Keras"
alone=$(mktemp -d)
pip install -q --no-deps --target "$alone" torchvision==0.29.1
PYTHONPATH=$alone python -m ci.torchvision_equality
pip install -q keras==3.15.1
KERAS_BACKEND=torch pytest -q tests/exchange/test_keras_witness.py tests/test_docs.py -k keras
# cuda is CuPy's, array-api-strict has run the reference, and numba is not installed yet
names=$(python -c 'from xpcnn.ops import dispatch; print(*(name for name in dispatch.names() if name not in ("cuda", "numba", "reference")))')
for name in $names; do
    step "the suite with the implementation $name forced"
    # not tests/kernels: it calls the kernels itself, and checks the thresholds, which a forced implementation ignores
    case $name in
    batch_last) parts=(tests/ops tests/nn tests/models) ;;  # it has most operations
    blocks) parts=(tests/ops tests/nn) ;;
    *) parts=(tests/ops/test_conv*.py tests/nn) ;;  # of convolution
    esac
    # nor the tests of plans and of training in parts: they force nothing
    XPCNN_IMPLEMENTATION=$name XPCNN_BACKEND=numpy pytest -q -n 2 "${parts[@]}" \
        --ignore-glob='*/nn/test_*plan*.py' --ignore-glob='*/nn/test_*parts.py' --ignore=tests/nn/test_predicting.py
done
step "compiled loops: their tests and page, and the tests of operations with them forced"
pip install -q -e '.[numba]'
pytest -q -n 2 --dist loadfile tests/kernels/test_compiled*.py tests/kernels/test_axes_of_one.py
XPCNN_IMPLEMENTATION=numba XPCNN_BACKEND=numpy pytest -q -n 2 tests/ops
XPCNN_NUMBA=1 XPCNN_BACKEND=numpy pytest -q -n 2 tests/nn tests/test_input_grad.py
pytest -q tests/test_docs.py -k compiled_loops
for threads in 1 8; do
    step "the fast implementations with $threads threads"
    XPCNN_NUM_THREADS=$threads pytest -q -n 2 tests/kernels
done
step "longer runs"
pytest -q -n 2 -m slow
pytest -q -n 2 --hypothesis-profile=thorough -m hypothesis tests/ops

step "doctests"
pytest -q -n 2 --doctest-modules xpcnn
step "examples, tiny"
for example in examples/*.py; do
    echo "$example"
    python "$example" --tiny > /dev/null
done
step "the documentation, without a warning"
pip install -q -e '.[docs]'
sphinx-build -q -W --keep-going -b html docs docs/_build
step "the documentation as a browser shows it"
python -m ci.site docs/_build
step "the README's picture"
python docs/digits.py runs/digits-mnist_cnn picture.png
step "CuPy where there is no GPU says so in a line, and has the signatures of its stand-in"
pip install -q 'cupy-cuda12x==14.*'
CUDA_VISIBLE_DEVICES='' pytest -q tests/test_backend.py tests/test_cupy_stand_in.py
step "the CUDA kernels compile for four GPU architectures; skipped where NVRTC cannot be had"
pip install -q nvidia-cuda-nvrtc-cu12 nvidia-cuda-runtime-cu12 || echo "no NVRTC: not compiled"
CUDA_VISIBLE_DEVICES='' pytest -q tests/kernels/test_cuda.py
step "what a GPU would be asked to do: no count above the committed one"
python -m ci.launches --check
step "what a step costs on a CPU, without a clock: no count above the committed one"
python -m ci.operations --check
step "the script for a GPU, tried on the stand-in for CuPy"
PYTHONPATH=$PWD/tests/stand_in SUITE=tests/nn/test_norm.py PYTHON=python bash ci/gpu.sh report --quick --nets lenet5
PYTHONPATH=$PWD/tests/stand_in PYTHON=python bash ci/gpu.sh --minutes 1 short --quick --nets lenet5
step "the benchmark: every part, too short to mean anything, and its table and picture from the file"
python -m ci.bench --quick --out figures.json
python -m ci.bench --from figures.json --markdown --picture benchmark.png
step "what xpcnn withstands: the quick form"
python -m ci.reliability --quick
step "several processes: random ones are killed; two hosts, of which one is cut off (as root, with network namespaces)"
python -m ci.kill_processes --kills 3 --epochs 6
if ip netns add xpcnn-try 2> /dev/null; then
    ip netns delete xpcnn-try
    bash ci/several_hosts.sh
fi
step "ONNX's own tests of operators"
pip install -q --no-deps --target onnx118 onnx==1.18.0
python -m ci.onnx_nodes onnx118/onnx/backend/test/data/node
step "every gradient, as a user checks it"
xpcnn gradcheck
xpcnn info
step "done"
