#!/bin/bash
# A20: no keyring of the caller is a guest's.
set -uo pipefail
. "$(dirname "$0")/../lib/attack.sh"
decoy_open
cp "$B/tests/attacks/reach" "$bundle/rootfs/test/reach"
bundle_args "$bundle" /test/reach keys
# A key of the caller's to be found, if this kernel has keys.
python3 - >"$scratch/key" 2>&1 <<'PY'
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
print(libc.syscall(248, b"user", b"bailey-test-secret", b"x", ctypes.c_ulong(1), -4), ctypes.get_errno())
PY
echo "the caller's key: $(cat "$scratch/key")"
for option in "" --no-new-keyring; do
    # shellcheck disable=SC2086
    try $option || bad "$option: $(cat "$scratch/out")"
    ! grep -q REACHED "$scratch/out" || bad "$option: $(cat "$scratch/out")"
    grep -q tried "$scratch/out" || bad "$option: it was not tried"
done
conclude
