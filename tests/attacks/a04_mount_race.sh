#!/bin/bash
# A4 (CVE-2021-30465) and S3: while containers are made, the place of a mount in a shared volume is exchanged for a link to
# the host: the mount is made inside or not at all.
set -uo pipefail
. "$(dirname "$0")/../lib/race.sh"
bundle_set "$bundle" --arg v "$volume" '.mounts += [
    {"destination": "/vol", "type": "bind", "source": $v, "options": ["bind"]},
    {"destination": "/vol/mnt", "type": "tmpfs", "source": "tmpfs", "options": ["size=64k"]},
    {"destination": "/vol/mnt/second", "type": "bind", "source": $v, "options": ["bind", "ro"]}]'
bundle_args "$bundle" /bin/sh -c 'cat /vol/mnt/secret /vol/link/secret /vol/mnt/second/mnt/secret /vol/mnt/second/link/secret;
    grep -c vol /proc/self/mountinfo; exit 0'
flip_start
race 150
flip_stop
conclude
