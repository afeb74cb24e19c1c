# Dependency resolution of many packages, from the lists that are in the root.
apt-get --simulate install build-essential
echo "status $?"
apt-get --simulate --no-install-recommends install postgresql default-jdk-headless | tail -5
apt-get --simulate remove perl-base 2>&1 | tail -2 | head -1
apt-cache policy bash | head -3
apt-cache depends git | head
apt-get --simulate install no-such-package 2>&1
echo "status $?"
