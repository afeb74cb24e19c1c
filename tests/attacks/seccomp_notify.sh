#!/bin/bash
# What supervisors and targets of guests' own filters (seccomp_unotify(2)) do to each other, the keep survives.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
attack_from_within seccomp_notify
