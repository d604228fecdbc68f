#!/bin/busybox sh
# shellcheck shell=dash
# The first process of the guest (see script/guest): finds this machine's files, goes there, and hands
# over to inside.sh. It runs in the initramfs, where nothing is but busybox and a few modules.

/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev

while read -r module; do
	insmod "/modules/$module" || echo "init: module $module cannot be loaded"
done </modules/order

# The kernel asks for modules from here, not from where the command will be.
mkdir /sbin
printf '#!/bin/sh\nexec chroot /new /sbin/modprobe "$@"\n' >/sbin/modprobe
chmod 755 /sbin/modprobe

# Nobody changes the files beneath while the guest runs, so they may be cached; the shares are live.
mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=512000 host /host
mount -t tmpfs -o mode=755 tmpfs /top
mkdir /top/upper /top/work
mount -t overlay -o lowerdir=/host,upperdir=/top/upper,workdir=/top/work overlay /new || poweroff -f

for folder in tmp run dev proc sys; do
	mkdir -p "/new/$folder"
done
mount -t tmpfs -o mode=1777 tmpfs /new/tmp
mount -t tmpfs -o mode=755 tmpfs /new/run
mkdir /new/run/under /new/run/guest /new/run/results
# the files without what was just put over them: a working directory may lie in /tmp
mount -o bind /new /new/run/under
mount -t 9p -o trans=virtio,version=9p2000.L,cache=none,msize=262144 share /new/run/guest
mount -t 9p -o trans=virtio,version=9p2000.L,cache=none,msize=262144 results /new/run/results
mkdir -p /dev/shm /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t devpts devpts /dev/pts
for link in fd:fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do
	ln -s "/proc/self/${link#*:}" "/dev/${link%:*}"
done
mount -o move /dev /new/dev
mount -o move /proc /new/proc
mount -o move /sys /new/sys

id=$(sed 's/.*guest\.id=\([0-9]*\).*/\1/' /new/proc/cmdline)
chroot /new /bin/bash /run/guest/inside.sh "$id"
poweroff -f
