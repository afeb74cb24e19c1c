#!/bin/bash
# A program of root's does nothing for those who shared memory with the keep before it was executed.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
attack_from_within mailbox_exec
