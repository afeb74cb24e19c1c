#!/bin/bash
exec "$(dirname "$0")/../lib/fuzz.sh" gate
