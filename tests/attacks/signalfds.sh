#!/bin/bash
# The event descriptor that a signalfd is in its process is of no use to others, and harms nobody else.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
attack_from_within signalfds
