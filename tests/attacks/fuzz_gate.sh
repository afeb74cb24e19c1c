#!/bin/bash
#: timeout 180
exec "$(dirname "$0")/../lib/fuzz.sh" gate
