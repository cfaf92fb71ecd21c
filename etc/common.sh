# shellcheck shell=bash
#
# common.sh - what etc/quickstart and tests/run do alike: packages installed
# without recommends and without starting a service, and a build outside the
# source. Sourced; the caller has set -eu.

# shellcheck disable=SC2034
build_packages=(gcc libc6-dev make autoconf automake pkgconf
	libevent-dev libssl-dev libsasl2-dev libdb5.3-dev libconfuse-dev
	libjansson-dev libidn-dev libidn2-dev libunistring-dev libunbound-dev nettle-dev libsystemd-dev
	libargon2-dev libsasl2-modules dns-root-data)

say() {
	printf '%s\n' "$*"
}

die() {		# die CODE TEXT...
	local code=$1
	shift
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit "$code"
}

# Those of the packages named that are not installed, one a line.
packages_missing() {
	local p
	for p in "$@"; do
		# shellcheck disable=SC2016
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] ||
			printf '%s\n' "$p"
	done
}

policy=/usr/sbin/policy-rc.d

policy_restore() {
	if [ -e "$policy.before-submitd" ] || [ -L "$policy.before-submitd" ]; then
		mv -f "$policy.before-submitd" "$policy"
	else
		rm -f "$policy"
	fi
}

# Nobody but us may decide about services while our packages come in.
policy_forbid() {
	if { [ -e "$policy" ] || [ -L "$policy" ]; } &&
	    [ ! -e "$policy.before-submitd" ]; then
		mv "$policy" "$policy.before-submitd"
	fi
	printf '#!/bin/sh\n# submitd: no service is started by this installation\nexit 101\n' >"$policy"
	chmod 0755 "$policy"
}

packages_install() {	# as root; names of packages
	(
		umask 022
		mkdir -p /run/lock
		exec 8>/run/lock/submitd-packages
		flock 8
		policy_forbid
		trap policy_restore EXIT
		trap 'exit 130' INT TERM HUP
		export DEBIAN_FRONTEND=noninteractive
		[ -z "$(find /var/lib/apt/lists -name '*_Packages*' 2>/dev/null)" ] ||
			apt-get -q -o DPkg::Lock::Timeout=600 install -y \
				--no-install-recommends "$@" 8>&- </dev/null && exit 0
		apt-get -q -o DPkg::Lock::Timeout=600 update 8>&- </dev/null
		apt-get -q -o DPkg::Lock::Timeout=600 install -y \
			--no-install-recommends "$@" 8>&- </dev/null
	)
}

# Installs what is missing of "$@"; without root says what to type, exit 69.
packages_need() {
	local missing
	mapfile -t missing < <(packages_missing "$@")
	[ ${#missing[@]} -gt 0 ] || return 0
	if [ "$(id -u)" -ne 0 ]; then
		say "These packages are missing; as root:" >&2
		say "  apt-get install --no-install-recommends ${missing[*]}" >&2
		exit 69
	fi
	say "Installing: ${missing[*]}"
	packages_install "${missing[@]}" || die 69 "apt-get failed"
}

# Copies the source tree $1 to $2 (it may be read-only and is left alone), and
# makes ./configure there. What did not change keeps its time, for make.
source_copy() {
	local from=$1 to=$2 f list=()
	for f in configure.ac Makefile.am README LICENSE lib auth db submitd \
	    popd tests etc .ci .clang-format configure aclocal.m4 Makefile.in \
	    config.h.in; do
		[ ! -e "$from/$f" ] || list+=("$f")
	done
	mkdir -p "$to"
	tar -C "$from" -cf - --exclude=__pycache__ --exclude='*.[oa]' \
		--exclude=.deps "${list[@]}" |
		tar -C "$to" -xf - --no-same-owner --keep-newer-files \
			--warning=no-ignore-newer ||
		die 74 "cannot copy the source to $to"
	chmod -R u+w,a+rX "$to"
	if [ ! -x "$to/configure" ] || [ ! -f "$to/Makefile.in" ] ||
	    [ ! -f "$to/config.h.in" ] || [ -n "$(find "$to" \
	    \( -name '*.mk' -o -name Makefile.am -o -name configure.ac \) \
	    -newer "$to/Makefile.in" -print -quit)" ]; then
		(cd "$to" && autoreconf -fi) >"$to.autoreconf.log" 2>&1 ||
			{ tail -n 20 "$to.autoreconf.log" >&2; die 70 "autoreconf failed"; }
	fi
}

# build_make SOURCE BUILD LOG CONFIGURE-ARGS... -- MAKE-ARGS...
build_make() {
	local src=$1 build=$2 log=$3 args=()
	shift 3
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		args+=("$1")
		shift
	done
	shift
	mkdir -p "$build"
	if ! {
		cd "$build" &&
		if [ ! -f config.status ] || [ ! -f Makefile ] ||
		    [ "${args[*]}" != "$(cat .configured 2>/dev/null)" ]; then
			"$src/configure" "${args[@]}" &&
			printf '%s' "${args[*]}" >.configured
		fi && make -j"$(nproc)" "$@"
	} >"$log" 2>&1 </dev/null; then
		tail -n 30 "$log" >&2
		die 70 "the build failed; all of it is in $log"
	fi
	cd - >/dev/null || exit 71
}

# Makes the users and groups of a sysusers file that are missing.
users_make() {	# FILE
	local file=$1 kind name id
	if command -v systemd-sysusers >/dev/null; then
		systemd-sysusers "$file"
		return
	fi
	while read -r kind name id _; do
		case $kind in
		g) getent group "$name" >/dev/null || groupadd -r "$name" ;;
		u) getent passwd "$name" >/dev/null ||
			useradd -r -U -d / -s /usr/sbin/nologin "$name" ;;
		esac
	done <"$file"
	while read -r kind name id _; do
		[ "$kind" != m ] || usermod -a -G "$id" "$name"
	done <"$file"
}
