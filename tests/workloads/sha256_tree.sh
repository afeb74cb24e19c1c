# Every byte of a tree.
find /usr/lib /usr/bin /etc -xdev -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
