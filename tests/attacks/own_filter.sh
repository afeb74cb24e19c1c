#!/bin/bash
# No filter of a guest's own making reaches the host by the way that the gate's take.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
attack_from_within own_filter
