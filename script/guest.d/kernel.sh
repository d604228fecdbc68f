# shellcheck shell=bash disable=SC2154 # variables of script/guest
# The kernel of the guest and the initramfs that it boots: made once, kept in build/guest/.
# Sourced by script/guest, never run. Sets kernel (a folder), kernel_version and initramfs.

# What the guest needs before it can see this machine's files. The rest is loaded from there.
boot_modules='virtio_pci virtio_console virtio_net 9pnet_virtio 9p overlay'

# Of the kernel's modules only those folders are kept that a guest could want.
kept_modules='arch crypto lib net fs drivers/infiniband drivers/virtio drivers/char drivers/net/*.ko'

kernel='' kernel_version='' initramfs=''

# The plain flavour: the -cloud- one has no rxe.
kernel_package() {
	local package
	package=$(apt-cache depends --important linux-image-amd64 2>/dev/null |
		sed -n 's/.*Depends: \(linux-image-[0-9][^ ]*\)$/\1/p' | head -n 1)
	if [ -z "$package" ]; then
		apt-get -qq update >&2
		package=$(apt-cache depends --important linux-image-amd64 | sed -n 's/.*Depends: \(linux-image-[0-9][^ ]*\)$/\1/p' | head -n 1)
	fi
	printf '%s' "$package"
}

# Downloads into the folder $1; prints the file's name.
download_kernel() {
	local package
	if [ -n "${DSM_GUEST_KERNEL:-}" ]; then
		realpath -e "$DSM_GUEST_KERNEL"
		return
	fi
	package=$(kernel_package)
	[ -n "$package" ] || {
		complain 'apt knows no linux-image-amd64; set DSM_GUEST_KERNEL to a Debian kernel package'
		return 1
	}
	say "Fetching $package for the guest (70 MB, once; it is not installed) ..." >&2
	# a list that is old names a package that is gone
	(cd "$1" && { apt-get -qq download "$package" || { apt-get -qq update && apt-get -qq download "$package"; }; }) \
		>"$1/apt.log" 2>&1 || {
		cat "$1/apt.log" >&2
		complain "the kernel package $package cannot be downloaded"
		return 1
	}
	compgen -G "$1/*.deb"
}

# The kernel $1 as the ELF file that it carries, compressed, into $2: the emulator boots it as it is, which
# saves seconds of emulated decompression. Where that does not work out, $2 is $1.
uncompress_kernel() {
	local from=$1 to=$2 sectors offset length
	# the header of a bzImage: setup_sects, payload_offset, payload_length
	sectors=$(od -An -t u1 -j 0x1f1 -N 1 "$from")
	offset=$(od -An -t u4 -j 0x248 -N 4 "$from")
	length=$(od -An -t u4 -j 0x24c -N 4 "$from")
	offset=$(((sectors + 1) * 512 + offset))
	tail -c +$((offset + 1)) "$from" | head -c $((length)) | xz -dc --single-stream >"$to" 2>/dev/null
	[ "$(head -c 4 "$to" | tr -d '\177')" = ELF ] || cp "$from" "$to"
}

# Unpacks the package $2 with the help of the folder $1: vmlinux, version, and modules/ with what depmod knows.
unpack_kernel() {
	local work=$1 package=$2 version kept
	dpkg -x "$package" "$work/x" || return
	version=$(cd "$work/x/lib/modules" && echo *)
	mkdir -p "$work/new/base/lib/modules/$version/kernel"
	uncompress_kernel "$work/x/boot/vmlinuz-$version" "$work/new/vmlinux"
	mv "$work/x/lib/modules/$version"/modules.* "$work/new/base/lib/modules/$version/"
	# shellcheck disable=SC2086 # patterns
	(cd "$work/x/lib/modules/$version/kernel" && for kept in $kept_modules; do
		cp -al --parents $kept "$work/new/base/lib/modules/$version/kernel/" || exit
	done) || return
	depmod -b "$work/new/base" "$version" || return
	ln -s "base/lib/modules/$version" "$work/new/modules"
	printf '%s\n' "$version" >"$work/new/version"
	# an old one may still be used by a guest that runs
	find "$cache" -maxdepth 1 -name 'kernel-*' -mmin +1440 -exec rm -rf {} +
	rm -rf "$kernel"
	mv "$work/new" "$kernel"
}

# The initramfs is called after what is in it: a changed script makes a new one.
make_initramfs() {
	local key work module path
	key=$(cat "$here/guest.d/init.sh" /bin/busybox - <<<"$boot_modules" | sha256sum | cut -c1-16)
	initramfs=$kernel/initramfs-$key
	[ ! -s "$initramfs" ] || return 0
	work=$(mktemp -d "$cache/work.XXXXXX") || return
	mkdir -p "$work"/{bin,proc,sys,dev,host,top,new,modules}
	cp /bin/busybox "$work/bin/" && ln -s busybox "$work/bin/sh"
	cp "$here/guest.d/init.sh" "$work/init" && chmod 755 "$work/init"
	for module in $boot_modules; do
		modprobe -d "$kernel/base" -S "$kernel_version" --show-depends "$module" || return
	done | sed -n 's/^insmod //p' | awk '!seen[$1]++ { print $1 }' >"$work/list"
	while read -r path; do
		cp "$path" "$work/modules/" && printf '%s\n' "${path##*/}"
	done <"$work/list" >"$work/modules/order"
	rm -f "$kernel"/initramfs-* "$work/list"
	(cd "$work" && find . | cpio -o -H newc -R 0:0 --quiet) >"$initramfs.new" || return
	mv "$initramfs.new" "$initramfs"
	rm -rf "$work"
}

# One at a time: several may come at once for the first time.
make_kernel() {
	local lock package work
	cache=$1
	exec {lock}>"$cache/lock"
	flock -w 300 "$lock" || {
		complain "another script/guest has held $cache/lock for five minutes"
		return 1
	}
	kernel=$cache/kernel-$(sha256sum <<<"$kept_modules vmlinux ${DSM_GUEST_KERNEL:-}" | cut -c1-8)
	if [ ! -s "$kernel/version" ]; then
		work=$(mktemp -d "$cache/work.XXXXXX") || return
		if ! package=$(download_kernel "$work") || ! unpack_kernel "$work" "$package"; then
			rm -rf "$work"
			complain 'there is no kernel for the guest'
			return 1
		fi
		rm -rf "$work"
	fi
	read -r kernel_version <"$kernel/version"
	make_initramfs || complain 'the initramfs of the guest could not be made' || return
	exec {lock}>&-
	[ -s "$initramfs" ]
}

# A copy in $2 of the modules in $1, without the modules $3...: for the kernel as for modprobe they
# do not exist, as on a machine whose kernel was built without them.
modules_without() {
	local from=$1 to=$2 name
	shift 2
	mkdir -p "$to.base/lib/modules"
	cp -al "$(realpath "$from")" "$to.base/lib/modules/" || return
	ln -s "$to.base/lib/modules/$kernel_version" "$to"
	for name in "$@"; do
		find "$to.base" \( -name "$name.ko" -o -name "${name//_/-}.ko" \) -print -delete | grep -q . || {
			complain "the kernel $kernel_version has no module $name that could be kept out"
			return 1
		}
		sed -i "/[/]${name//_/[_-]}\.ko\$/d" "$to/modules.order"
	done
	# what depmod writes is renamed into place, so that the original of a hard link stays as it is
	depmod -b "$to.base" "$kernel_version"
}
