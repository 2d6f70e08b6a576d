#!/bin/sh
# The benchmarks that make sense on a CUDA device, within ten minutes. From the repository's root:
#
#     HORNBOOK_DATA=... sh benchmarks/gpu.sh [PYTHON]
#
# HORNBOOK_DATA is a folder with names.txt and shakespeare.txt. Each benchmark ends after its seconds, so
# that one which hangs does not take the time of the others; what each prints ends with its JSON line.
# Exits with 1 if one of them failed.

python=${1:-python}
failed=0

bench() {
    seconds=$1
    shift
    echo "== $*"
    timeout "$seconds" "$python" "$@" || { echo "failed with $?: $*"; failed=1; }
}

cd "$(dirname "$0")/.." || exit 1
PYTHONPATH=src${PYTHONPATH:+:$PYTHONPATH}
export PYTHONPATH
"$python" -c 'import sys, torch; torch.cuda.is_available() or sys.exit("found no CUDA device")' || exit 1
"$python" -m hornbook doctor

bench 60 benchmarks/steps.py --device cuda
bench 60 benchmarks/notes_gpt.py --device cuda --steps 50
bench 90 benchmarks/notes_gpt.py --device cuda --steps 20 --dropout 0.2
bench 90 benchmarks/generation.py --device cuda --characters 2000
bench 60 benchmarks/reference.py --device cuda --models gpt2,gpt --rounds 3
bench 210 benchmarks/targets.py names makemore-names shakespeare --long --device cuda
exit $failed
