#!/usr/bin/env bash
# A device against its limits and against PyTorch on the same card, in one command and
# under eight minutes; the table goes to docs/results:
#
#     bench/gpu.sh [FLAGS of bench/gpu]
#     bench/gpu.sh -small -peer-device cpu      # where there is no GPU
#
# The conformance suite runs first: a fast kernel that is wrong has no place in a table.
# On a machine without Go it takes programs built elsewhere:
#
#     CGO_ENABLED=0 go build -o bin/gpu ./bench/gpu
#     CGO_ENABLED=0 go test -c -o bin/vulkan.test ./kernels/vulkan
#
# PYTHON names an interpreter with torch; without one the table has no peer.
set -uo pipefail
cd "$(dirname "$0")/.."

python="${PYTHON:-python3}"
export CGO_ENABLED=0 KERNELTEST_REQUIRE=vulkan
if command -v go >/dev/null; then
	mkdir -p bin
	go build -o bin/gpu ./bench/gpu && go test -c -o bin/vulkan.test ./kernels/vulkan || exit
fi
[[ -x bin/gpu && -x bin/vulkan.test ]] || { echo "no Go here, and no bin/gpu and bin/vulkan.test: see the head of $0" >&2; exit 2; }

# A card needs seconds for the suite; a software driver compiles for minutes.
limit=150
[[ " $* " == *" -small "* ]] && limit=1800
echo "conformance"
(cd kernels/vulkan && timeout "$limit" ../../bin/vulkan.test -test.run TestConformance) | tail -n 20 || {
	echo "the conformance suite failed, or took longer than $limit s: no table" >&2
	exit 1
}

peer=()
if "$python" -c 'import torch' 2>/dev/null; then
	peer=(-peer "$python bench/versus/pytorch.py")
else
	echo "$python has no torch: no peer" >&2
fi
exec bin/gpu "${peer[@]}" -budget 5m -o docs/results "$@"
