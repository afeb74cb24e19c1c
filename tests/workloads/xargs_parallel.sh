# xargs -P and other parallel runs.
cd /tmp || exit 1
seq 1 100 | xargs -P 8 -I{} sh -c 'echo $(({} * {}))' | sort -n | md5sum
seq 1 50 | xargs -P 4 -n 5 echo | tr ' ' '\n' | sort -n | paste -sd+ | bc
printf 'a\0b c\0d\n' | xargs -0 -n1 printf '[%s]\n'
seq 1 10 | xargs -P 3 -I{} sh -c 'exit {}'; echo $?
echo x | xargs sh -c 'exit 255'; echo $?
find /usr/share/perl -type f -print0 | xargs -0 -P 4 -n 20 md5sum | sort | md5sum
yes | head -20000 | xargs -n 1000 | wc -l
find /usr/include -name '*.h' | xargs -P 4 -n 50 wc -l | grep -v total | awk '{s += $1} END {print s}'
true | xargs -r false; echo $?
