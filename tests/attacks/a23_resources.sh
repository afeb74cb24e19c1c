#!/bin/bash
# A23: what is huge or deep in a configuration costs the runtime no more than an error, and what a guest hoards ends with it
# (fork_bomb.sh has the processes).
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
decoy_open
bundle_args "$bundle" /bin/true
cp "$bundle/config.json" "$scratch/config.json"
# Text that is no config at all, in form or in size: refused with a message, within a time and a memory.
refused() { # what
    local begin=$EPOCHREALTIME status
    (ulimit -v 4000000 && timeout -k 5 $hang "$RUNTIME" --root "$state" run --bundle "$bundle" "$(container_id json)") \
        </dev/null >"$scratch/out" 2>&1
    status=$?
    echo "$1: status $status after $(bc <<<"$EPOCHREALTIME - $begin") s: $(head -c 100 "$scratch/out" | tr '\n' ' ')"
    [ $status = 1 ] || bad "$1: status $status"
}
python3 - "$bundle" deep <<'PY' && refused "100000 levels of arrays"
import sys
open(sys.argv[1] + "/config.json", "w").write('{"ociVersion":"1.0.2","x":' + "[" * 100000 + "]" * 100000 + "}")
PY
python3 - "$bundle" <<'PY' && refused "100000 levels of objects"
import sys
open(sys.argv[1] + "/config.json", "w").write('{"a":' * 100000 + "1" + "}" * 100000)
PY
printf '{"ociVersion": "1.0.2", "x": "\\ud800", "y": "\xff\xfe"}' >"$bundle/config.json"
refused "broken text"
truncate -s 2G "$bundle/config.json"
refused "two GiB of zeros"
: >"$bundle/config.json"
refused "nothing"
rm "$bundle/config.json"
mkfifo "$bundle/config.json"
refused "a pipe"
rm "$bundle/config.json"
ln -s /dev/zero "$bundle/config.json"
refused "a device"
rm "$bundle/config.json"
# A million of something that is not known is ignored, or too long.
python3 - "$bundle" "$scratch/config.json" <<'PY'
import json, sys
c = json.load(open(sys.argv[2]))
c["x-many"] = list(range(1000000))
json.dump(c, open(sys.argv[1] + "/config.json", "w"))
PY
begin=$EPOCHREALTIME
try
echo "a million entries: status $? after $(bc <<<"$EPOCHREALTIME - $begin") s: $(head -1 "$scratch/out" | cut -c1-100)"
# Inside: files, descriptors, watches, locks, pipes and memory of a file system, as many as there may be; then all is well.
cp "$scratch/config.json" "$bundle/config.json"
bundle_set "$bundle" '.mounts += [{"destination": "/fill", "type": "tmpfs", "source": "tmpfs", "options": ["size=1m", "nr_inodes=100"]}]'
# shellcheck disable=SC2016
bundle_args "$bundle" /bin/sh -c 'i=0; while echo x >/fill/$i; do i=$((i + 1)); done 2>/dev/null; echo "$i files"
    rm -rf /fill/*; dd if=/dev/zero of=/fill/big bs=64k 2>&1 | grep -c "No space"
    i=3; while [ $i -lt 3000 ] && eval "exec $i>/fill/fd" 2>/dev/null; do i=$((i + 1)); done 2>/dev/null; echo "$i descriptors"'
try
status=$?
cat "$scratch/out"
[ $status -lt 128 ] || bad "the container ended with $status"
grep -qE '^9[0-9] files' "$scratch/out" || bad "nr_inodes has no effect"
grep -qx 1 "$scratch/out" || bad "size has no effect"
cp "$scratch/config.json" "$bundle/config.json"
try || bad "no container after it: $(cat "$scratch/out")"
conclude
