# The package data base: its list, its files, its checks.
dpkg -l
dpkg -L bash | head -20
dpkg -S /bin/ls
dpkg --verify coreutils && echo verified
dpkg-query -W -f '${Package} ${Version} ${Status}\n' | md5sum
dpkg --compare-versions 1.0~rc1 lt 1.0 && echo older
dpkg --audit
