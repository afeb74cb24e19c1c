# Mounting takes a capability that containers do not have by themselves; hidden and read-only paths of real files.
bundle_set "$bundle" '.process.capabilities |= map_values(. + ["CAP_SYS_ADMIN"])
    | .linux.maskedPaths += ["/hidden", "/secret", "/not-there"] | .linux.readonlyPaths += ["/fixed"]'
mkdir -p "$bundle"/rootfs/{hidden/in,fixed/sub}
echo secret >"$bundle/rootfs/secret"
echo text | tee "$bundle/rootfs/hidden/file" >"$bundle/rootfs/fixed/sub/file"
ln -s /hidden "$bundle/rootfs/tohidden"
