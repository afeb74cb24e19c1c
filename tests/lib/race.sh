# race.sh: sourced by the attacks that exchange a directory for a link while containers are made.
# shellcheck shell=bash
. "$(dirname "${BASH_SOURCE[0]}")/attack.sh"
decoy_open
volume=$scratch/volume
mkdir -p "$volume/mnt/deep"
ln -s "$decoy" "$volume/link"
decoy_state >"$scratch/decoy.before"

# From the host, and from a guest that has the volume too.
flip_start() {
    "$B/tests/tools/flip" "$volume/mnt" "$volume/link" >"$scratch/flip" 2>&1 &
    flipper=$!
    until_true $patience grep -q flipping "$scratch/flip" || die "no flip: $(cat "$scratch/flip")"
    guest=$(bundle_new guest busybox)
    cp "$B/tests/tools/flip" "$guest/rootfs/test/flip"
    bundle_args "$guest" /test/flip /vol/mnt /vol/link
    bundle_set "$guest" --arg v "$volume" \
        '.mounts += [{"destination": "/vol", "type": "bind", "source": $v, "options": ["bind"]}]'
    guest_id=$(container_id flip)
    bailey_stays run --bundle "$guest" "$guest_id" </dev/null >"$scratch/flip.guest" 2>&1 &
    guest_run=$!
    until_true $patience grep -q flipping "$scratch/flip.guest" || die "no flip inside: $(cat "$scratch/flip.guest")"
}

flip_stop() {
    kill -KILL $flipper || bad "the host's flipper has ended"
    bailey kill "$guest_id" KILL || bad "the guest's flipper has ended"
    wait $guest_run $flipper 2>/dev/null
}

# Runs the bundle TIMES times; what it sees of the host is bad. A run may fail, but not all of them.
race() { # times
    local i good=0
    for ((i = 0; i < $1; i++)); do
        try && good=$((good + 1))
        ! grep -q outside "$scratch/out" || bad "run $i sees the host: $(cat "$scratch/out")"
    done
    echo "$good of $1 ran; the last one said: $(tail -1 "$scratch/out")"
    [ $good -gt 0 ] || bad "none ran"
}
