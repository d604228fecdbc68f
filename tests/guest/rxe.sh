#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tests of dsm rxe and dsm doctor in a guest without a device yet (script/guest --no-rxe), in which
# one thing after the other is broken. Changes the machine it runs on: refuses to run elsewhere.
#
# Usage: DSM=PATH DSMD=PATH script/guest --no-rxe tests/guest/rxe.sh broken
#        … --keep-modules-out rdma_rxe tests/guest/rxe.sh no-module
#        … --keep-modules-out crc32_generic,crc32_pclmul tests/guest/rxe.sh no-crc32
#        … --hosts 2 tests/guest/rxe.sh engine
#
# Prints "ok NAME" or "not ok NAME" per check and "N passed, N failed" last.

set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
: "${DSM:=$here/../../build/gcc/cli/dsm}" "${DSMD:=$here/../../build/gcc/engine/dsmd}"
if [ ! -e /run/guest/config ] || [ -n "${GUEST_NATIVE:-}" ]; then
	echo 'this changes the machine; it runs in a guest only' >&2
	exit 77
fi
# shellcheck source=tests/guest/rxe-checks.sh
. "$here/rxe-checks.sh"
trap 'rm -rf "$work"' EXIT

no_device() { ! compgen -G '/sys/class/infiniband/*' >/dev/null; }

# ---- making, keeping, undoing ----

test_add() {
	run doctor; expect 'before' 1
	check 'before: the module can be loaded' state_is module ok
	check 'before: so can crc32' state_is crc32 ok
	check 'before: no device, and what to do' fix_has device 'rxe add IFACE makes one of an Ethernet interface (eth0)'
	run rxe add eth9; expect 'interface missing' 1 '' 'no interface "eth9"; there are: eth0'
	check 'interface missing: no module is loaded' test ! -e /sys/module/rdma_rxe
	(sleep 1; ip link add eth9 type dummy) &
	run rxe add eth9 --timeout 10; expect 'an interface that comes late' 0 rxe0
	run rxe del eth9; expect 'it goes again' 0 'rxe0 of eth9 is removed'
	ip link del eth9
	run rxe add eth0; expect 'add' 0 $'rxe0\trxe\teth0\tACTIVE\t10.77.0.1\t1\tRoCE v2\t1500\t1024\tfalse'
	check 'add: nothing to complain of' is "$err" ''
	run rxe add eth0; expect 'add again' 0 rxe0 'eth0 has rxe0 already'
	run rxe status --format json; expect 'status' 0
	check 'status: JSON' json 'length == 1 and .[0].device == "rxe0" and .[0].rdma_mtu == 1024'
	run doctor; expect 'all well' 0
	for line in rdma_cm device access mtu address firewall memlock; do check "all well: $line" state_is "$line" ok; done
	check 'all well: the GID' found_has address '10.77.0.1, GID 1, RoCE v2'
	check 'all well: what a larger MTU would do' fix_has mtu 'mtu 4200'
	check 'a device that is not ours to name' rdma link add other type rxe netdev lo
	run rxe del lo; expect 'one of two' 0 'other of lo is removed'
	check 'one of two: the modules stay' test -e /sys/module/rdma_rxe
}

test_held() {
	sleep 60 7<>/dev/infiniband/uverbs0 &
	local holder=$!
	run rxe status; expect 'held: status names the holder' 0 "sleep ($holder)"
	run rxe del eth0; expect 'held: refused' 1 '' "rxe0 is held by sleep (process $holder)"
	check 'held: the device is there' test -e /sys/class/infiniband/rxe0
	run rxe del eth0 --timeout 1; expect 'held: waited for in vain' 1 '' "held by sleep (process $holder)"
	(sleep 1; kill "$holder") &
	run rxe del rxe0 --timeout 20; expect 'the holder leaves' 0 'rxe0 of eth0 is removed'
	check 'no device' no_device
	check 'what add has loaded is unloaded' test ! -e /sys/module/rdma_rxe
	run rxe del eth0; expect 'nothing more to remove' 1 '' 'no RDMA device'
}

test_persist() {
	local unit=/etc/systemd/system/dsm-rxe-eth0.service
	run rxe persist eth0; expect 'persist' 0 "$unit"
	check 'persist: enabled' test "$(readlink /etc/systemd/system/multi-user.target.wants/dsm-rxe-eth0.service)" = "$unit"
	check 'persist: systemd finds no fault' bash -c "! systemd-analyze verify --man=no $unit 2>&1 | grep ."
	run rxe persist eth0; expect 'persist twice' 0
	local -a command
	read -ra command <<<"$(sed -n 's/^ExecStart=//p' "$unit")"
	check 'persist: its command makes the device' "${command[@]}"
	run rxe status; expect 'persist: status says so' 0 $'\ttrue\t'
	run rxe del eth0; expect 'del undoes both' 0 'no Soft-RoCE at the next boot'
	check 'del undoes both: no unit' is "$(find /etc/systemd/system -name 'dsm-rxe*')" ''
	check 'del undoes both: no device' no_device
	run rxe persist eth0
	run rxe del eth0; expect 'del of the unit alone' 0 'no Soft-RoCE at the next boot'
	run rxe persist eth9; expect 'persist of what is not there' 1 '' 'no interface'
}

# ---- one thing after the other is broken ----

# broken NAME CHECK STATE STATUS WORD-IN-FOUND WORD-IN-FIX
broken() {
	run doctor
	check "$1: status $4" is "$status" "$4"
	check "$1: $2 is $3" state_is "$2" "$3"
	check "$1: found" found_has "$2" "$5"
	check "$1: fix" fix_has "$2" "$6"
}

test_network() {
	run rxe add eth0
	ip addr flush dev eth0 scope global
	sleep 0.5
	broken 'no address' address fail 1 'no address that others can connect to' 'ip addr add'
	ip -6 addr add fd77::1/64 dev eth0 nodad
	sleep 0.5
	run doctor; check 'IPv6 alone will do' found_has address fd77::1
	ip addr add 10.77.0.1/24 dev eth0
	ip link set eth0 down
	sleep 0.5
	broken 'interface down' device fail 1 DOWN 'ip link set eth0 up'
	ip link set eth0 up
	ip link set eth0 mtu 600
	broken 'small MTU' mtu warn 0 'MTU 600, so RDMA packets carry 512 bytes' 'mtu 4200'
	for mtu in 4175:2048 4176:4096 9000:4096; do
		ip link set eth0 mtu "${mtu%:*}"
		run rxe status
		check "MTU $mtu, as the device has it" is "$(ibv_devinfo | awk '$1 == "active_mtu:" { print $2 }')" "${mtu#*:}"
		check "MTU $mtu, as status says" is "$(cut -f9 "$work/out")" "${mtu#*:}"
	done
	ip link set eth0 mtu 1500
	mv /dev/infiniband/rdma_cm /dev/infiniband/away
	broken 'no connections' rdma_cm fail 1 'is missing' 'modprobe rdma_ucm'
	mv /dev/infiniband/away /dev/infiniband/rdma_cm
	mv /dev/infiniband/uverbs0 /dev/infiniband/away
	broken 'no node of the device' access fail 1 'No such file' 'start udev'
	mv /dev/infiniband/away /dev/infiniband/uverbs0
	run doctor; check 'the node is there again' state_is access ok
}

# As another user: `user LIMIT_KIB ARGUMENT...`
user() {
	local limit=$1
	shift
	chmod 755 "$work"
	(ulimit -l "$limit"; timeout 60 setpriv --reuid 1000 --regid 1000 --clear-groups "$DSM" "$@") \
		>"$work/out" 2>"$work/err"
	status=$?
	out=$(<"$work/out") err=$(<"$work/err")
}

test_user() {
	user 64 doctor
	check 'memlock of 64 KiB fails' state_is memlock fail
	check 'memlock: how to raise it' fix_has memlock 'LimitMEMLOCK=infinity'
	check 'memlock: status' is "$status" 1
	user 8192 doctor; check 'memlock of 8 MiB is a warning' state_is memlock warn
	user unlimited doctor; check 'memlock without limit is well' state_is memlock ok
	check 'a user uses the device' state_is access ok
	chmod 600 /dev/infiniband/uverbs0
	user unlimited doctor
	check 'a node for root only' state_is access fail
	check 'a node for root only: fix' fix_has access 'chmod 666 /dev/infiniband/uverbs0'
	chmod 666 /dev/infiniband/uverbs0
	user unlimited rxe del eth0; expect 'a user may not remove it' 1 '' 'only root'
	user unlimited rxe persist eth0; expect 'nor keep it' 1 '' 'only root'
	nft add table inet some
	user unlimited doctor; check 'a user cannot see the filter' state_is firewall warn
	check 'and is told' found_has firewall 'only root'
	nft delete table inet some
}

# ---- packet filters ----

# filter NAME STATE FIX NFT-LINE...: a chain "input" of these rules; the policy is the first word.
filter() {
	local name=$1 wanted=$2 mend=$3 policy=$4 line
	shift 4
	{
		echo 'flush ruleset'
		echo 'add table inet own'
		echo 'add chain inet own other'
		echo "add chain inet own input { type filter hook input priority 0; policy $policy; }"
		for line in "$@"; do echo "add rule inet own $line"; done
	} | nft -f -
	run doctor
	check "filter: $name: $wanted" state_is firewall "$wanted"
	[ -z "$mend" ] || check "filter: $name: fix" fix_has firewall "$mend"
}

test_firewall() {
	local nft='nft insert rule inet own input udp dport 4791 accept'
	filter 'empty' ok '' accept
	filter 'dropped' fail "$nft" accept 'input udp dport 4791 drop'
	filter 'rejected in a set' fail "$nft" accept 'input udp dport { 53, 4000-5000 } counter reject'
	filter 'policy' fail "$nft" drop 'input ct state established,related accept' 'input iifname lo accept' \
		'input tcp dport 4791 accept'
	line_of firewall; eval "$fix"
	run doctor; check 'filter: the fix mends it' state_is firewall ok
	filter 'accepted before the policy' ok '' drop 'input meta l4proto udp th dport 4791 accept'
	filter 'dropped elsewhere' ok '' accept 'input iifname "wlan*" udp dport 4791 drop' 'input udp dport != 4791 drop'
	filter 'dropped on this interface' fail '' accept 'input iifname "eth*" udp dport 4791 drop'
	filter 'through a chain' fail '' accept 'other udp dport 4791 drop' 'input ip protocol udp jump other'
	filter 'returned from a chain' ok '' accept 'other return' 'other drop' 'input jump other'
	filter 'a map' fail '' drop 'input ct state vmap { established : accept, related : accept, invalid : drop }'
	filter 'a map that lets it in' ok '' drop 'input ct state vmap { established : accept, new : accept }'
	filter 'a rule of another kind' warn '' accept 'input ip saddr 10.9.0.0/16 udp dport 4791 drop'
	nft flush ruleset
	iptables -A INPUT -p udp -m multiport --dports 1,4791 -j DROP
	run doctor; check 'iptables: dropped' state_is firewall fail
	line_of firewall; eval "$fix"
	run doctor; check 'iptables: the fix mends it' state_is firewall ok
	iptables -F; nft flush ruleset
	iptables-legacy -P INPUT DROP; iptables-legacy -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT
	run doctor; check 'iptables of old: policy' state_is firewall fail
	iptables-legacy -I INPUT -i eth+ -p udp --dport 4000:5000 -j ACCEPT
	run doctor; check 'iptables of old: let in' state_is firewall ok
	iptables-legacy -P INPUT ACCEPT; iptables-legacy -F
}

test_broken() {
	test_add
	test_held
	test_persist
	test_network
	test_user
	test_firewall
	mkdir "$work/empty"
	PATH=$work/empty run_alone rxe del eth0
	expect 'the program rdma is missing' 1 '' 'apt-get install iproute2'
	run rxe del eth0; expect 'removed at the end' 0
}

# Without timeout, for a PATH in which nothing is.
run_alone() {
	"$DSM" "$@" >"$work/out" 2>"$work/err"
	status=$?
	out=$(<"$work/out") err=$(<"$work/err")
}

# ---- modules that this kernel does not have ----

test_no-module() {
	run doctor; expect 'no module' 1
	check 'no module: fail' state_is module fail
	check 'no module: which package' fix_has module 'linux-image-amd64'
	run rxe add eth0; expect 'no module: add' 1 '' 'has no module rdma_rxe'
	check 'no module: add names the package' has "$err" 'linux-image-amd64'
	local kernel=6.1.0-99-cloud-amd64
	cp "/lib/modules/$(uname -r)"/modules.{dep,builtin} "$work/"
	mount -t tmpfs tmpfs /lib/modules
	mkdir "/lib/modules/$kernel"
	cp "$work"/modules.* "/lib/modules/$kernel/"
	echo "$kernel" >"$work/osrelease"
	mount --bind "$work/osrelease" /proc/sys/kernel/osrelease
	run doctor
	check 'cloud flavour: is named' found_has module "$kernel has no module"
	check 'cloud flavour: fix' fix_has module 'apt-get install linux-image-amd64'
	umount /lib/modules
	run doctor
	check 'no folder of modules: fail' state_is module fail
	check 'no folder of modules: which' found_has module "/lib/modules/$kernel is missing"
	umount /proc/sys/kernel/osrelease
}

test_no-crc32() {
	run doctor; expect 'no crc32' 1
	check 'no crc32: the module is there' state_is module ok
	check 'no crc32: fail' state_is crc32 fail
	run rxe add eth0; expect 'no crc32: add' 1 '' 'the kernel makes no device of eth0'
	check 'no crc32: the reason that the kernel does not give' has "$err" 'no module crc32_generic'
	check 'no crc32: no device' no_device
}

# ---- an engine over rdma ----

write_table() {
	printf 'region: far\nowners:\n  - name: pump\ngroups:\n  - name: g\n    owner: engine\n    cells:\n'
	printf '      - name: a\n        type: f64\n'
}

far_engine() {
	write_table >"$work/table.yaml"
	"$DSMD" --rdma "$GUEST_IP" --auth none "$work/table.yaml" >"$work/dsmd.log" 2>&1 &
	local engine=$! i=1
	sleep 1
	"$DSM" -u shm://far set g.a 1 >/dev/null
	guest-sync up
	# commits, for the clock
	while ! [ -e "$GUEST_DIR/sync.asked.1.1" ]; do "$DSM" -u shm://far set g.a $((i++)) >/dev/null; sleep 0.05; done
	guest-sync asked
	guest-sync stop
	kill -STOP "$engine"
	guest-sync stopped
	guest-sync end
	kill -KILL "$engine"
	cat "$work/dsmd.log"
}

near_doctor() {
	local uri=rdma://$GUEST_PEER
	guest-sync up
	run doctor "$uri"; expect 'a far engine' 0
	for line in engine versions heartbeat role; do check "a far engine: $line" state_is "$line" ok; done
	check 'a far engine: by rdma' found_has engine 'by rdma'
	date -s '+1 hour' >/dev/null
	run doctor "$uri"
	check 'a clock that is an hour ahead' state_is clock warn
	check 'an hour it is' clock_matches 'stamped (3599|3600|3601)[.].* behind'
	date -s '-1 hour' >/dev/null
	guest-sync asked
	guest-sync stop
	guest-sync stopped
	run doctor "$uri" --timeout 4; expect 'a stopped engine' 1
	run doctor rdma://10.77.0.9 --timeout 3; expect 'nobody there' 1
	check 'nobody there: fix' row_is_there engine
	run doctor "rdma://$GUEST_PEER:9999" --timeout 4; expect 'another port' 1
	check 'another port: RDMA itself is well' state_is device ok
	guest-sync end
}

clock_matches() { line_of clock && matches "$found" "$1"; }

test_engine() {
	if [ "$GUEST_ID" -eq 0 ]; then far_engine; else near_doctor; fi
}

case ${1:-} in
broken | no-module | no-crc32 | engine) "test_$1" ;;
*) sed -n '/^# Usage:/,/^$/ s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
esac
finish_checks
