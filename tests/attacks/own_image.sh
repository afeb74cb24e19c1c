#!/bin/bash
# No file of a guest's is executed by the host in the place of the gate.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
attack_from_within own_image
