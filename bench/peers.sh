#!/usr/bin/env bash
# The CPU engine beside PyTorch, OpenBLAS and oneDNN in one run; the table goes to
# docs/results:
#
#     bench/peers.sh [FLAGS of bench/peers]
#     bench/peers.sh -small -o ''       # a minute, to the standard output
#
# PYTHON names an interpreter; with torch in it (pip install torch) PyTorch takes part,
# with numpy the OpenBLAS of its wheel. Debian's libopenblas0-pthread and libdnnl2 are
# taken where they are, torch.compile wants g++. What is missing is named in the table.
set -uo pipefail
cd "$(dirname "$0")/.."

python="${PYTHON:-python3}"
command -v "$python" >/dev/null || { echo "no $python: no peers" >&2; python=; }
mkdir -p bin
CGO_ENABLED=0 go build -o bin/peers ./bench/peers || exit
exec bin/peers -python "$python" -o docs/results "$@"
