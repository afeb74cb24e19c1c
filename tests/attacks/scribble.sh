#!/bin/bash
# A guest that destroys its own gate harms itself only.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
attack_from_within scribble
