#!/bin/bash
# Thirty sandboxes at once: all start, answer and end, take no more memory each than few do, and rest.
exec "$(dirname "$0")/../bench/thousand.sh" 30
