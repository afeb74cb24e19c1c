#!/bin/bash
# rootfs.sh busybox|debian|gobin: makes what the tests run in, once, and prints where it is.
# Kept under $BAILEY_TEST_CACHE (build/rootfs); the name carries a hash of this file, so that a change makes it anew.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${BAILEY_TEST_CACHE:-$(cd "$here/../.." && pwd)/build/rootfs}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
hash=$(sha256sum "${BASH_SOURCE[0]}" | cut -c1-12)

suite=bookworm
packages="perl python3 redis-server redis-tools nginx-light apache2-utils gcc libc6-dev git nodejs tini procps
    bsdutils xz-utils bzip2 sqlite3 make file bc less iproute2 psmisc expect strace gdb"

# The machine's own Debian mirror, if apt has one, so that a machine behind a mirror works.
mirror() {
    local uri
    uri=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 2>/dev/null |
        grep -E '/debian/?$' | grep -v security | head -1 || true)
    echo "${DEBIAN_MIRROR:-${uri:-http://deb.debian.org/debian}}"
}

make_busybox() { # dir
    local bb
    bb=$(command -v busybox)
    mkdir -p "$1"/{bin,sbin,usr/bin,usr/sbin,etc,root,tmp,proc,sys,dev,var,run,home}
    chmod 1777 "$1/tmp"
    cp "$bb" "$1/bin/busybox"
    "$bb" --list-full | while read -r applet; do
        [ -e "$1/$applet" ] || ln -s /bin/busybox "$1/$applet"
    done
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$1/etc/passwd"
    printf 'root:x:0:\ntty:x:5:\nnogroup:x:65534:\n' >"$1/etc/group"
    printf '127.0.0.1 localhost\n' >"$1/etc/hosts"
}

make_debian() { # dir
    local m
    m=$(mirror)
    debootstrap --variant=minbase "$suite" "$1" "$m"
    printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d"
    chmod 755 "$1/usr/sbin/policy-rc.d"
    echo "deb $m $suite main" >"$1/etc/apt/sources.list"
    cp -L /etc/resolv.conf "$1/etc/resolv.conf"
    apt-config dump | grep -E '^Acquire::https?::Proxy ' >"$1/etc/apt/apt.conf.d/90proxy" || true
    local apt=(chroot "$1" env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get -q -y
        -o Dpkg::Options::=--force-unsafe-io -o Acquire::Languages=none)
    "${apt[@]}" update
    # shellcheck disable=SC2086
    "${apt[@]}" --no-install-recommends install $packages
    "${apt[@]}" clean
    rm -f "$1/etc/apt/apt.conf.d/90proxy" "$1/usr/sbin/policy-rc.d" "$1/etc/resolv.conf"
    rm -f "$1"/var/cache/apt/*.bin
    mkdir -p "$1/test"
}

# A static Go program, made with Debian's compiler, which is unpacked beside and thrown away again.
make_gobin() { # dir
    mkdir -p "$1/deb"
    (cd "$1/deb" && apt-get -q download golang-1.19-go golang-1.19-src)
    for deb in "$1"/deb/*.deb; do
        dpkg-deb -x "$deb" "$1/go"
    done
    local root=$1/go/usr/lib/go-1.19
    (cd "$here/../workloads/go" && GOROOT=$root GOCACHE=$1/cache GOPATH=$1/path GO111MODULE=off CGO_ENABLED=0 \
        GOFLAGS=-trimpath "$root/bin/go" build -o "$1/gotest" .)
    chmod -R u+w "$1"
    rm -rf "$1/deb" "$1/go" "$1/cache" "$1/path"
}

kind=${1:?usage: rootfs.sh busybox|debian|gobin}
[ "$kind" = gobin ] && hash=$(cat "${BASH_SOURCE[0]}" "$here"/../workloads/go/* | sha256sum | cut -c1-12)
dir=$cache/$kind-$hash
if [ ! -d "$dir" ]; then
    exec 9>"$cache/$kind.lock"
    flock 9
    if [ ! -d "$dir" ]; then
        rm -rf "$cache/$kind"-*
        # Daemons that a package starts, and mounts that debootstrap makes, end with these namespaces.
        export -f mirror make_busybox make_debian make_gobin
        export suite packages here
        unshare --mount --pid --fork --kill-child bash -euo pipefail -c "make_$kind \"\$1\"" _ "$dir.new" \
            >"$cache/$kind.log" 2>&1 || {
            echo "rootfs.sh: making $kind failed; the end of $cache/$kind.log:" >&2
            tail -5 "$cache/$kind.log" >&2
            rm -rf "$dir.new"
            exit 1
        }
        mv "$dir.new" "$dir"
    fi
fi
echo "$dir"
