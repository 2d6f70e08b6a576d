#!/usr/bin/env bash
# Two network namespaces as two machines: a training run over the network between them, of which one side
# is cut off for a while, then killed, and resumed. Needs root on Linux, iproute2, and hornbook's Python:
#
#     sudo benchmarks/two_machines.sh [PYTHON] [--parallel ddp|fsdp]
#
# Both machines see the same disk, as a cluster's nodes see a shared one. Prints what happens, and at the
# end whether the run equals one of two processes on one machine, bit for bit. Exits with 77 where
# namespaces cannot be made, with 1 where something is lost.
set -u
python=${1:-python}
shift || true
id=hb$$
left=$id-l right=$id-r
work=$(mktemp -d)
port=29577
export OMP_NUM_THREADS=1 HORNBOOK_RANKS_TIMEOUT=${HORNBOOK_RANKS_TIMEOUT:-20}
export HORNBOOK_CACHE=$work/cache PYTHONUNBUFFERED=1
steps=${STEPS:-60}
compared=

switch_off() { # NAMESPACE: kills all that runs in it
    ip netns pids "$1" 2> /dev/null | xargs -r kill -KILL 2> /dev/null
}

finish() {
    switch_off "$left"
    switch_off "$right"
    [ -z "$compared" ] || kill "$compared" 2> /dev/null
    ip netns del "$left" 2> /dev/null
    ip netns del "$right" 2> /dev/null
    rm -rf "$work"
}
trap finish EXIT
trap "exit 130" INT TERM

[ "$(id -u)" = 0 ] || { echo 'needs root: skipped'; exit 77; }
command -v ip > /dev/null || { echo 'needs iproute2 (ip): skipped'; exit 77; }
ip netns add "$left" 2> /dev/null && ip netns add "$right" 2> /dev/null \
    && ip link add "$id-a" type veth peer name "$id-b" 2> /dev/null \
    && ip link set "$id-a" netns "$left" && ip link set "$id-b" netns "$right" \
    || { echo 'network namespaces cannot be made here: skipped'; exit 77; }
for side in "$left $id-a 10.213.7.1" "$right $id-b 10.213.7.2"; do
    set -- $side "$@"
    ip -n "$1" addr add "$3/24" dev "$2"
    ip -n "$1" link set "$2" up
    ip -n "$1" link set lo up
    shift 3
done

seq 1 4000 | awk '{ printf "%s and %s is %s\n", $1, $1, 2 * $1 }' > "$work/sums.txt"
train=(-m hornbook train "$work/sums.txt" --model gpt --steps "$steps" --threads 1 --precision fp32
    --model.n-layer 1 --model.n-embd 32 --model.n-hidden 64 --training.batch-size 8
    --training.eval-count 6 --training.sample-count 0 --seed 5 "$@")

machine() { # NAMESPACE DEVICE ADDRESS IS_HOST OUT: starts its torchrun in the background
    GLOO_SOCKET_IFNAME=$2 ip netns exec "$1" "$python" -m torch.distributed.run \
        --nnodes 2 --nproc-per-node 1 --rdzv-backend c10d --rdzv-id "$id" \
        --rdzv-endpoint "10.213.7.1:$port" --rdzv-conf "is_host=$4,join_timeout=120" \
        --local-addr "$3" "${train[@]}" --out "$5" > "$work/$1.log" 2>&1 &
}

both() { # OUT: starts both machines
    port=$((port + 1))
    machine "$left" "$id-a" 10.213.7.1 1 "$1"
    first=$!
    machine "$right" "$id-b" 10.213.7.2 0 "$1"
    second=$!
}

saved() { # OUT: the step of the newest state, 0 without
    "$python" - "$1" << 'END'
import json, sys
try:
    print(json.load(open(f"{sys.argv[1]}/last/state.json"))["step"])
except OSError:
    print(0)
END
}

until_saved() { # OUT STEP: waits until a state of so many steps is there
    for _ in $(seq 3000); do
        [ "$(saved "$1")" -ge "$2" ] && return 0
        kill -0 "$first" 2> /dev/null || break
        sleep 0.2
    done
    echo "no state of step $2 was saved:"
    tail -n 20 "$work/$left.log" "$work/$right.log"
    exit 1
}

echo "one machine, two processes: the run to compare with, meanwhile"
"$python" -m torch.distributed.run --standalone --nproc-per-node 2 "${train[@]}" --out "$work/one" \
    > "$work/one.log" 2>&1 &
compared=$!

echo "two machines"
both "$work/two"
until_saved "$work/two" $((steps / 6))
echo "  step $(saved "$work/two"): the network is cut for 3 seconds"
ip -n "$right" link set "$id-b" down
sleep 3
ip -n "$right" link set "$id-b" up
until_saved "$work/two" $((steps / 2))
echo "  step $(saved "$work/two"): the network is cut, and the second machine killed"
ip -n "$right" link set "$id-b" down
switch_off "$right"
wait "$second" 2> /dev/null
for _ in $(seq 3000); do
    kill -0 "$first" 2> /dev/null || break
    sleep 0.2
done
kill -0 "$first" 2> /dev/null && { echo "the first machine still waits"; exit 1; }
grep -h 'hornbook: error\|rank 0 of 2' "$work/$left.log" | tail -n 1 | cut -c 1-200 | sed 's/^/  it says: /'
echo "  step $(saved "$work/two"): both are started again with the same command"
ip -n "$right" link set "$id-b" up
both "$work/two"
wait "$first" || { tail -n 30 "$work/$left.log"; exit 1; }
wait "$second" || { tail -n 30 "$work/$right.log"; exit 1; }
wait "$compared" || { tail -n 30 "$work/one.log"; exit 1; }
compared=

"$python" - "$work/one" "$work/two" << 'END'
import hashlib, json, sys
from pathlib import Path

one, two = map(Path, sys.argv[1:])
weights = [hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest() for run in (one, two)]
logs = [[(r["step"], r["loss"], r.get("val_loss")) for r in map(json.loads, open(run / "log.jsonl"))]
        for run in (one, two)]
equal = weights[0] == weights[1] and logs[0] == logs[1]
print("equal to the run of one machine, bit for bit" if equal else "LOST: the runs differ")
print(json.dumps({"equal": equal, "steps": logs[1][-1][0], "weights": weights}))
sys.exit(not equal)
END
