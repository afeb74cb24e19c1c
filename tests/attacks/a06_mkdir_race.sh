#!/bin/bash
# A6 (CVE-2024-45310): as A4, where the places of mounts, devices and the working directory have to be made first: nothing
# is made on the host.
set -uo pipefail
. "$(dirname "$0")/../lib/race.sh"
bundle_set "$bundle" --arg v "$volume" --arg f "$bundle/config.json" '.mounts += [
    {"destination": "/vol", "type": "bind", "source": $v, "options": ["bind"]},
    {"destination": "/vol/mnt/made/dir", "type": "tmpfs", "source": "tmpfs", "options": ["size=64k"]},
    {"destination": "/vol/link/made/dir", "type": "tmpfs", "source": "tmpfs", "options": ["size=64k"]},
    {"destination": "/vol/mnt/made/file", "type": "bind", "source": $f, "options": ["bind", "ro"]}]
    | .linux.devices = [{"type": "c", "path": "/vol/mnt/dev/made", "major": 1, "minor": 3}]
    | .linux.maskedPaths += ["/vol/mnt/deep"] | .linux.readonlyPaths += ["/vol/mnt"]
    | .process.cwd = "/vol/mnt/cwd"'
bundle_args "$bundle" /bin/sh -c 'cat secret /vol/mnt/secret /vol/link/secret; exit 0'
flip_start
race 150
flip_stop
conclude
