#!/bin/bash
# Who lives on though the keep was told that he does not has no calls, and no process.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
attack_from_within strangers
