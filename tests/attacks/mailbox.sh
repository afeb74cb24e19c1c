#!/bin/bash
# What a guest writes into the memory that its gate shares with the keep harms itself only.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
attack_from_within mailbox
