#!/bin/sh
# install.sh TAR SOURCES: a stock Debian arm64 system as debootstrap makes it, with kernel, initramfs and ssh. Its
# packages' own scripts run, under qemu-user, in a user namespace of their own: binfmt_misc knows the program there alone.
set -e
if [ "$1" = inside ]; then
  read -r _ < "$2"
  mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
  cat /usr/lib/binfmt.d/qemu-aarch64.conf > /proc/sys/fs/binfmt_misc/register
  exec mmdebstrap --quiet --mode=root --skip=check/qemu --variant=important --architectures=arm64 \
    --include=linux-image-arm64,initramfs-tools,openssh-server trixie "$3" "$4"
fi
gate=$(mktemp -u)
mkfifo "$gate"
unshare --user --mount --propagation private sh "$0" inside "$gate" "$1" "$2" &
child=$!
# The namespace is there as soon as it is another than ours.
until [ "$(readlink /proc/$child/ns/user)" != "$(readlink /proc/self/ns/user)" ]; do sleep 0.1; done
echo "0 0 200000" > /proc/$child/uid_map
echo "0 0 200000" > /proc/$child/gid_map
echo go > "$gate"
rm "$gate"
wait "$child"
