#!/usr/bin/env bash
# Several hosts on one machine, made of network namespaces; as root. A training over both of them gives the bytes of one
# process. Then one host is cut off in the middle of a step: both sides end, and one process goes on to the same bytes.
#
#     bash ci/several_hosts.sh
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python} work=$(mktemp -d)
export PYTHONPATH=$PWD PYTHONWARNINGS=ignore UCX_TLS=tcp,self  # not the memory that these hosts share
mpiexec=$(dirname "$(command -v "$python")")/mpiexec

finish() {
    ip netns delete xpcnn-a 2> /dev/null || true
    ip netns delete xpcnn-b 2> /dev/null || true
    rm -rf "$work"
}
trap finish EXIT
finish && mkdir -p "$work"
ip netns add xpcnn-a
ip netns add xpcnn-b
ip link add xa netns xpcnn-a type veth peer name xb netns xpcnn-b
for side in a b; do
    ip -n xpcnn-$side addr add "10.99.0.$([ $side = a ] && echo 1 || echo 2)/24" dev x$side
    ip -n xpcnn-$side link set x$side up
    ip -n xpcnn-$side link set lo up
done
cat > "$work/reach" << 'END'
#!/bin/sh
while [ "${1#-}" != "$1" ]; do shift; done
case $1 in 10.99.0.1) host=xpcnn-a ;; *) host=xpcnn-b ;; esac
shift
exec ip netns exec $host unshare -u sh -c "hostname $host; exec $*"
END
chmod +x "$work/reach"

both() { # two ranks on each host
    ip netns exec xpcnn-a unshare -u sh -c 'hostname xpcnn-a; exec "$@"' sh "$mpiexec" -launcher rsh \
        -launcher-exec "$work/reach" -hosts 10.99.0.1,10.99.0.2 -ppn 2 -n 4 "$python" -m mpi4py -m "$@"
}
program() { echo tests.distributed.program "$work/$1" epochs="$2" patience=null timeout="${3:-60}"; }

echo "== one process"
"$python" -m $(program one 40) > /dev/null
echo "== two hosts"
both $(program two 40) > /dev/null
cmp "$work/one/model.safetensors" "$work/two/model.safetensors"
echo "the same bytes"

echo "== two hosts, and one is cut off"
both $(program cut 40 6) > "$work/out" 2> "$work/errors" &
job=$!
until [ -e "$work/cut/checkpoint.safetensors" ]; do sleep 0.1; done
ip -n xpcnn-b link set xb down
begun=$SECONDS
ranks() { pgrep -f "^$python -m mpi4py -m tests.distributed.program $work/cut" || true; }
while [ -n "$(ranks)" ]; do
    [ $((SECONDS - begun)) -lt 60 ] || { echo "these live on: $(ranks)"; exit 1; }
    sleep 0.2
done
echo "all ended after $((SECONDS - begun)) s: $(grep -h '^xpcnn.errors' "$work/errors")"
sleep 1
if kill -0 $job 2> /dev/null; then # it waits for its own helper on the other host
    echo "mpiexec does not end by itself"
    kill -9 $job $(pgrep -f "mpiexec .* $work/cut")
fi
"$python" -m $(program cut 40) resume=true > /dev/null
cmp "$work/one/model.safetensors" "$work/cut/model.safetensors"
echo "one process went on to the same bytes"
