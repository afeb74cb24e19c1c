#!/bin/bash
# roots.sh layer|runsc: what only the benchmarks need, made once, kept in build/bench; prints where it is.
#   layer  an overlay layer over the tests' Debian root: pgbench, wrk, Go's compiler, zlib's source, a large git tree
#   runsc  gVisor's, from Debian's next release: an executable. Not to be had: status 1, and it is left out
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${B:-$here/../../build}/bench
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
packages="postgresql-15 wrk golang-1.19-go"

# A mirror, and the proxy that apt has been given, for what is not of this release.
private_apt() { # suite source-type apt-get-arguments...
    local at=$cache/apt-$1 suite=$1 type=$2
    shift 2
    mkdir -p "$at"/{state/lists/partial,cache/archives/partial,etc}
    echo "$type [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${DEBIAN_MIRROR:-http://deb.debian.org/debian} $suite main" >"$at/sources"
    local apt=(apt-get -q -y -o Dir::Etc::sourcelist="$at/sources" -o Dir::Etc::sourceparts=/dev/null
        -o Dir::State="$at/state" -o Dir::Cache="$at/cache" -o Acquire::Languages=none -o APT::Sandbox::User=root)
    "${apt[@]}" update
    (cd "$at" && "${apt[@]}" "$@")
}

make_runsc() {
    private_apt trixie deb download runsc
    dpkg-deb -x "$cache"/apt-trixie/runsc_*.deb "$cache/runsc.tree"
    install -m 755 "$cache/runsc.tree/usr/bin/runsc" "$cache/runsc"
    rm -rf "$cache/apt-trixie" "$cache/runsc.tree"
}

# In the root, as the layer is being made.
fill_layer() { # packages
    set -e
    export DEBIAN_FRONTEND=noninteractive LC_ALL=C
    apt-get -q -y -o Acquire::Languages=none update
    # shellcheck disable=SC2086
    apt-get -q -y --no-install-recommends -o Dpkg::Options::=--force-unsafe-io install $1
    apt-get clean
    rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
    mkdir -p /bench
    su postgres -s /bin/sh -c '/usr/lib/postgresql/15/bin/initdb -D /tmp/pg -A trust -N >/dev/null'
    rm -rf /var/lib/postgresql/15/main
    mv /tmp/pg /bench/pg
    mkdir /bench/tree
    cd /bench/tree
    git init -q .
    for d in $(seq 100); do
        mkdir -p "$((d % 10))/$d"
        for f in $(seq 100); do
            echo "$d $f" >"$((d % 10))/$d/$f"
        done
    done
    git add .
    git -c user.name=a -c user.email=a@b commit -qm tree
    mkdir /bench/go
    printf 'package main\n\nimport ("fmt"; "net/http"; "os")\n\nfunc main() { fmt.Println(len(os.Args), http.StatusOK) }\n' >/bench/go/main.go
    printf 'module bench\n\ngo 1.19\n' >/bench/go/go.mod
}

make_layer() { # directory that becomes the layer
    local debian root=$cache/root
    debian=$("$here/../lib/rootfs.sh" debian)
    mkdir -p "$1" "$cache/work" "$root"
    mount -t overlay -o "lowerdir=$debian,upperdir=$1,workdir=$cache/work" bench-layer "$root"
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
    apt-config dump | grep -E '^Acquire::https?::Proxy ' >"$root/etc/apt/apt.conf.d/90proxy" || true
    chroot "$root" bash -c "$(declare -f fill_layer); fill_layer \"\$1\"" _ "$packages"
    mkdir -p "$root/bench/zlib"
    private_apt bookworm deb-src --download-only source zlib &&
        tar -C "$root/bench/zlib" --strip-components=1 -xf "$cache"/apt-bookworm/zlib_*.orig.tar.* ||
        rmdir "$root/bench/zlib"
    rm -rf "$cache/apt-bookworm" "$root/etc/resolv.conf" "$root/usr/sbin/policy-rc.d" "$root/etc/apt/apt.conf.d/90proxy"
    umount "$root"
    rm -rf "$cache/work" "$root"
}

kind=${1:?usage: roots.sh layer|runsc}
at=$cache/$kind
[ "$kind" = runsc ] || at=$cache/layer-$(cat "${BASH_SOURCE[0]}" "$here/../lib/rootfs.sh" | sha256sum | cut -c1-12)
if [ ! -e "$at" ]; then
    rm -rf "$cache/$kind"*
    export -f private_apt make_runsc make_layer fill_layer
    export cache here packages
    unshare --mount --pid --fork --kill-child bash -euo pipefail -c "make_$kind \"\$1\"" _ "$at.new" >"$cache/$kind.log" 2>&1 || {
        echo "roots.sh: making $kind failed; the end of $cache/$kind.log:" >&2
        tail -3 "$cache/$kind.log" >&2
        rm -rf "$at.new"
        exit 1
    }
    [ ! -d "$at.new" ] || mv "$at.new" "$at"
fi
echo "$at"
