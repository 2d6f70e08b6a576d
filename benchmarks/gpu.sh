#!/bin/sh
# What is measured on a CUDA device, within eight minutes. From the repository's root:
#
#     HORNBOOK_DATA=... sh benchmarks/gpu.sh [PYTHON] [--tiny]
#
# HORNBOOK_DATA is a folder with names.txt and shakespeare.txt. Each part ends after its seconds, so that
# one which hangs does not take the time of the others; what a benchmark prints ends with its JSON line.
# --tiny tries all of it on a CPU, without limits. Exits with 1 if a part failed.

python=${1:-python}
tiny=${2:-}
device=cuda
[ "$tiny" = --tiny ] && device=cpu
failed=0

part() {
    seconds=$1
    shift
    echo "== $*"
    [ "$device" = cpu ] && seconds=0 # no limit
    timeout "$seconds" "$python" "$@" || { echo "failed with $?: $*"; failed=1; }
}

cd "$(dirname "$0")/.." || exit 1
PYTHONPATH=src${PYTHONPATH:+:$PYTHONPATH}
export PYTHONPATH
runs=$(mktemp -d)
trap 'rm -rf "$runs"' EXIT
if [ "$device" = cuda ]; then
    "$python" -c 'import sys, torch; torch.cuda.is_available() or sys.exit("found no CUDA device")' \
        || exit 1
    minutes=0.5
else
    minutes=0.02
fi

# the longest parts last: where time is short, they are what is cut off
part 20 -m hornbook doctor
part 70 -m pytest -q -p no:cacheprovider -m cuda tests/test_cuda.py
part 50 benchmarks/gpu.py losses --device $device $tiny
part 80 -m hornbook train shakespeare --minutes $minutes --training.device $device --out "$runs/minutes"
part 60 benchmarks/gpu.py generation --device $device $tiny
part 110 benchmarks/gpu.py target --device $device $tiny
part 90 benchmarks/gpu.py share --device $device $tiny
exit $failed
