#!/bin/bash
# image.sh ROOTFS NAME FILE [JSON]: an image made of a directory, offline, as a tar file that containerd, podman and
# docker all load. JSON: the `config` object of the image (Cmd, Env, ...).
set -euo pipefail
rootfs=$1 name=$2 out=$3 config=${4:-'{"Cmd": ["/bin/sh"]}'}
dir=$(mktemp -d "$(dirname "$out")/image.XXXXXX")
trap 'rm -rf "$dir"' EXIT
blobs=$dir/blobs/sha256
mkdir -p "$blobs"

keep() { # file: stores it by its digest, which is printed
    local digest
    digest=$(sha256sum <"$1" | cut -d' ' -f1)
    mv "$1" "$blobs/$digest"
    echo "$digest"
}

descriptor() { # digest type
    jq -nc --arg digest "sha256:$1" --arg type "$2" --argjson size "$(stat -c %s "$blobs/$1")" \
        '{mediaType: $type, digest: $digest, size: $size}'
}

tar -C "$rootfs" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$dir/layer" .
layer=$(keep "$dir/layer")
jq -nc --argjson config "$config" --arg layer "sha256:$layer" '{architecture: "amd64", os: "linux", config: $config,
    rootfs: {type: "layers", diff_ids: [$layer]}, history: [{created_by: "image.sh"}]}' >"$dir/config"
config_id=$(keep "$dir/config")
jq -nc --argjson config "$(descriptor "$config_id" application/vnd.oci.image.config.v1+json)" \
    --argjson layer "$(descriptor "$layer" application/vnd.oci.image.layer.v1.tar)" \
    '{schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json", config: $config,
    layers: [$layer]}' >"$dir/manifest"
manifest=$(keep "$dir/manifest")
descriptor "$manifest" application/vnd.oci.image.manifest.v1+json | jq -c --arg name "$name" \
    '.annotations = {"io.containerd.image.name": $name, "org.opencontainers.image.ref.name": $name}
    | {schemaVersion: 2, manifests: [.]}' >"$dir/index.json"
echo '{"imageLayoutVersion": "1.0.0"}' >"$dir/oci-layout"
# What `docker load` reads instead of the index.
jq -nc --arg config "blobs/sha256/$config_id" --arg layer "blobs/sha256/$layer" --arg name "$name" \
    '[{Config: $config, RepoTags: [$name], Layers: [$layer]}]' >"$dir/manifest.json"
tar -C "$dir" -cf "$out" blobs index.json oci-layout manifest.json
