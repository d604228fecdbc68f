# shellcheck shell=bash disable=SC2154 # variables of the configuration
# Runs in the guest, on this machine's files, started by init.sh (see script/guest): brings up the
# network and Soft-RoCE, runs the command, leaves its status in the share.

id=$1
share=/run/guest
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# shellcheck source=/dev/null
. "$share/config"

trouble() {
	printf 'guest %d: %s\n' "$id" "$*" >&3
}

# The command's output: a pipe, since /dev/stdout of the port itself could not be opened anew.
open_output() {
	mkfifo /run/output
	cat /run/output >"$(compgen -G '/dev/vport*p1')" &
	printer=$!
	exec 3>/run/output
}

# Folders that are needed and that /tmp, /run or /dev/shm have covered.
uncover() {
	local folder
	for folder in "$top" "$cwd"; do
		case $folder/ in
		/tmp/?* | /run/?* | /dev/shm/?*)
			mkdir -p "$folder"
			mount --bind "/run/under$folder" "$folder"
			;;
		esac
	done
	mkdir -p "/lib/modules/$kernel_version"
	mount --bind "/run/under$(readlink -f "/run/under$modules" | sed 's|^/run/under||')" "/lib/modules/$kernel_version"
}

bring_up_network() {
	hostname "guest$id"
	printf '10.77.0.%d guest%d\n' 1 0 2 1 >>/etc/hosts
	ip link set lo up
	ip addr add "10.77.0.$((id + 1))/24" dev eth0
	ip -6 addr add "fd77::$((id + 1))/64" dev eth0 nodad
	ip link set eth0 up
}

# rxe is ready when its table of addresses shows the one of the network; at most 10 s.
bring_up_rxe() {
	local tries wanted
	# without crc32_generic rxe says "failed to add eth0", and nobody why
	modprobe -a crc32_generic crc32_pclmul rdma_rxe rdma_ucm ib_umad 2>&3 || return
	rdma link add rxe0 type rxe netdev eth0 2>&3 || return
	wanted=$(printf '0a4d:%04x' $((id + 1)))
	for ((tries = 0; tries < 200; tries++)); do
		! grep -qs "ffff:$wanted" /sys/class/infiniband/rxe0/ports/1/gids/* || break
		sleep 0.05
	done
	[ "$tries" -lt 200 ] || return
	[ -c /dev/infiniband/uverbs0 ] && [ -c /dev/infiniband/rdma_cm ]
}

# Replaces this process. The environment was read before: in a function it would be local.
run_command() {
	local peer=$((hosts == 2 ? 2 - id : id + 1))
	unset TMPDIR XDG_RUNTIME_DIR
	export GUEST_ID=$id GUEST_HOSTS=$hosts GUEST_NATIVE='' GUEST_DEV=rxe0 GUEST_DIR=$share GUEST_RESULTS=/run/results
	export GUEST_IP=10.77.0.$((id + 1)) GUEST_IP6=fd77::$((id + 1)) GUEST_PEER=10.77.0.$peer GUEST_PEER6=fd77::$peer
	export PATH=$tools:$PATH:/usr/sbin:/sbin
	ulimit -l "$memlock"
	cd "$cwd" || exit 125
	exec setsid -w "${command[@]}" </dev/null >&3 2>&1 3>&-
}

# What the command left running would keep the pipe open: it ends with the command. What was
# printed before is waited for.
close_output() {
	local process pid
	exec 3>&-
	sleep 0.05
	for process in /proc/[0-9]*; do
		pid=${process#/proc/}
		case $pid in
		1 | "$$" | "$printer") continue ;;
		esac
		# kernel threads have no program; asked by the shell itself, since each program that is started takes
		# a tenth of a second here
		[ ! -e "$process/exe" ] || kill -KILL "$pid" 2>/dev/null
	done
	wait "$printer"
}

open_output
uncover
bring_up_network
status=0
if [ "$rxe" = yes ]; then
	bring_up_rxe || {
		trouble 'Soft-RoCE could not be set up'
		dmesg | tail -n 5 >&3
		status=125
	}
fi
: >"$share/started.$id"
if [ "$status" -eq 0 ]; then
	(
		# shellcheck source=/dev/null
		. "$share/environment"
		run_command
	)
	status=$?
fi
close_output
printf '%d\n' "$status" >"$share/status.$id"
