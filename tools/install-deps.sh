#!/bin/sh
# install-deps.sh PACKAGE...: installs the Debian packages that are not there yet. Silent where all are.
set -eu

# Elsewhere the packages have other names: the compiler will tell what is missing.
command -v dpkg-query >/dev/null || exit 0
missing=
for package in "$@"; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
    echo "these packages are missing, and only root can install them:$missing" >&2
    exit 1
fi
echo "installing:$missing" >&2
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log" $policy' EXIT
# Programs are wanted, not the services that some packages start (docker's, containerd's).
policy=
if [ ! -e /usr/sbin/policy-rc.d ]; then
    policy=/usr/sbin/policy-rc.d
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
fi
# shellcheck disable=SC2086
if { apt-get -q update && apt-get -q -y install --no-install-recommends $missing; } >"$log" 2>&1; then
    exit 0
fi
tail -20 "$log" >&2
echo "could not install:$missing" >&2
exit 1
