# shellcheck shell=bash disable=SC2016 # programs for eval
# The suites of what is installed, and of the smallest build. Sourced by script/test, never run.

# --- install ----------------------------------------------------------------------------------

suite_install() {
	root=$PWD/build/release/installed
	rm -rf "$root"
	check 'meson install' meson install -C build/release --no-rebuild --quiet --destdir "$root"
	libdir=$(dirname "$(find "$root" -name libdsm.so | head -n 1)")
	export LD_LIBRARY_PATH=$libdir
	export PKG_CONFIG_PATH=$libdir/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root
	check_libraries
	check_headers
	check_consumers
	check_programs
	check_service
	finish
}

# The command it starts is not where the unit says: what is verified is a copy that starts this one.
check_service() {
	local unit=$root/dsmd.service service said
	service=$(find "$root" -path '*systemd*' -name dsmd.service | head -n 1)
	check 'dsmd.service is installed' [ -n "$service" ]
	check 'dsmd.service lets the table be locked in memory' grep -qx 'LimitMEMLOCK=infinity' "$service"
	if ! command -v systemd-analyze >/dev/null; then
		skip 'dsmd.service: no systemd-analyze here'
		return
	fi
	sed "s|^ExecStart=[^ ]*|ExecStart=$root/usr/sbin/dsmd|; s|^Documentation=.*||" "$service" >"$unit"
	said=$(systemd-analyze verify "$unit" 2>&1)
	check "systemd-analyze verify dsmd.service: $said" [ $? -eq 0 ]
	said=$(grep -F dsmd.service <<<"$said") # it ends with 0 though it does not know a key
	check "systemd-analyze verify dsmd.service: $said" [ -z "$said" ]
}

# --- the smallest build ------------------------------------------------------------------------

# libdsm alone: nothing of what only other parts need may be asked for.
suite_small() {
	local dir=build/small option options=()
	for option in engine cli peeker web rdma examples tests bench; do
		options+=("-D$option=disabled")
	done
	rm -rf "$dir"
	check 'meson setup with everything disabled' meson setup "$dir" --buildtype=plain -Dwerror=true "${options[@]}"
	check 'ninja' ninja -C "$dir"
	check 'libdsm.so is there' [ -e "$dir/lib/libdsm.so" ]
	check 'no engine, no command, no viewer' [ -z "$(find "$dir" -name 'libdsm_engine.so*' -o -name dsm -type f -o -name peeker -type f)" ]
	check 'libdsm needs no rdma' eval '! readelf -d "$dir/lib/libdsm.so" | grep -qE "ibverbs|rdmacm|cyaml"'
	rm -rf "$dir"
	finish
}

check_libraries() {
	local file soname foreign
	check "libraries go to ${libdir#"$root"}, where pkg-config and the linker do not look" \
		grep -qF "${libdir#"$root"}/pkgconfig" <<<":$(pkg-config --variable pc_path pkg-config):"
	for file in "$libdir"/libdsm*.so; do
		soname=$(readelf -d "$file" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')
		check "$file: soname '$soname' ends in a number" grep -qE '^lib[a-z_]+\.so\.[0-9]+$' <<<"$soname"
		check "$file: $soname is installed" [ -e "$libdir/$soname" ]
		foreign=$(nm -D --defined-only "$file" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | grep -v '^dsm_')
		check "$file exports $(paste -sd ' ' <<<"$foreign")" [ -z "$foreign" ]
		check "$file exports dsm_ functions" grep -q ' T dsm_' <(nm -D --defined-only "$file")
	done
}

check_headers() {
	local header name
	for header in "$root"/usr/include/dsm/*.h; do
		name=dsm/${header##*/}
		check "$name alone in C" gcc -std=c17 -Wall -Wextra -Werror -fsyntax-only \
			-I "$root/usr/include" -x c - <<<"#include <$name>"
		check "$name alone in C++" g++ -std=c++17 -Wall -Wextra -Werror -fsyntax-only \
			-I "$root/usr/include" -x c++ - <<<"#include <$name>"
	done
}

# A program outside of the project, with nothing but what pkg-config says.
check_consumers() {
	local flags program=build/release/consumer
	check 'pkg-config knows dsm' pkg-config --exists --print-errors dsm
	read -ra flags <<<"$(pkg-config --cflags --libs dsm)"
	cat >"$program.c" <<-'C'
		#include <dsm/dsm.h>
		#include <stddef.h>
		int main(void)
		{
			struct dsm *dsm = NULL;
			int error = dsm_attach("shm://no-such-engine-here", NULL, &dsm);
			return error < 0 && dsm == NULL && dsm_error()[0] && dsm_strerror(error)[0] ? 0 : 1;
		}
	C
	check 'a client builds against the installed tree' gcc -Wall -Werror -o "$program" "$program.c" "${flags[@]}"
	check 'the client runs' timeout 20 "$program"
	if pkg-config --exists dsm-engine; then
		read -ra flags <<<"$(pkg-config --cflags --libs dsm-engine)"
		cat >"$program-engine.c" <<-'C'
			#include <dsm/engine.h>
			#include <stddef.h>
			int main(void)
			{
				struct dsm_table *table = NULL;
				return dsm_table_new("consumer", &table) == 0 && table != NULL ? 0 : 1;
			}
		C
		check 'an engine builds against the installed tree' \
			gcc -Wall -Werror -o "$program-engine" "$program-engine.c" "${flags[@]}"
		check 'the engine runs' timeout 20 "$program-engine"
	else
		fail 'pkg-config does not know dsm-engine'
	fi
}

check_programs() {
	local name program
	for name in bin/dsm bin/dsm-adc bin/peeker sbin/dsmd; do
		program=$root/usr/$name
		name=${name#*/}
		check "$name is installed" test -x "$program"
		check "$name --version" timeout 10 "$program" --version
		check "$name --help" timeout 10 "$program" --help
		check "$name has a manual page" eval 'compgen -G "$root/usr/share/man/man*/$name.*" >/dev/null'
	done
	for program in "$root"/usr/share/bash-completion/completions/*; do
		[ ! -e "$program" ] || check "completion ${program##*/} is good bash" bash -n "$program"
	done
}
