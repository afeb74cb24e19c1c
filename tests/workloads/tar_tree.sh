# tar out and in: plain files, links, modes, times, owners, fifos, sparse files, long names, through compressors.
set -e
cd /tmp
mkdir t && cd t
cp -a /usr/share/perl/5.36.0/unicore /usr/lib/python3.11/asyncio /usr/share/zoneinfo .
mkdir -p "$(printf 'd%.0s' $(seq 100))/$(printf 'e%.0s' $(seq 100))"
echo long >"$(printf 'd%.0s' $(seq 100))/$(printf 'e%.0s' $(seq 100))/f"
echo data >hard1; ln hard1 hard2; ln -s hard1 soft; ln -s /nowhere dangling; mkfifo fifo
truncate -s 3M sparse; echo end >>sparse
chmod 4711 hard1; chown 12:34 sparse; touch -d '2001-02-03 04:05:06.789' soft2
touch -h -d '2002-03-04' soft
cd ..
for z in '' z j J; do
    tar -c${z}f t.tar --sparse -C t .
    rm -rf u && mkdir u
    tar -x${z}pf t.tar -C u
    (cd u && find . ! -type d -printf '%p %y %m %U %G %s %n %l\n' | LC_ALL=C sort | sha256sum)
    (cd u && find . -type d -printf '%p %m %U %G\n' | LC_ALL=C sort | sha256sum)
    (cd u && find unicore asyncio -type f -printf '%p %T+\n' | LC_ALL=C sort | sha256sum)
    (cd u && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum)
done
stat -c '%n %h %a %u:%g' u/hard1 u/hard2 u/sparse
stat -c '%y' u/soft2
du -k u/sparse | cut -f1 | awk '{print ($1 < 100) ? "sparse" : "filled"}'
tar cf - -C /usr/share doc 2>/dev/null | tar tf - | wc -l
tar cf - -C /etc . | (mkdir v && tar xf - -C v) && diff -r --no-dereference /etc v && echo same
tar xf /nonexistent 2>/dev/null || echo "tar $?"
