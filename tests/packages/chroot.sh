#!/usr/bin/env bash
# Tests the packages of `make package` in a fresh Debian: the archive, then install, read, upgrade, remove and purge.
#   chroot.sh BUILD
# Needs root, debootstrap and apt's mirror; leaves nothing behind. systemd does not run there (booted.sh tests that):
# the daemon has the user and the command of its unit, its own socket, and no sandbox.
set -euo pipefail

say() { printf 'chroot: %s\n' "$*"; }
fail() {
  printf 'chroot: FAILED: %s\n' "$*" >&2
  exit 1
}

# Outside: the folder. Inside (--inside): new namespaces, so that no mount and no process outlives the test.
if [ "${1:-}" != --inside ]; then
  build="$(realpath "${1:?usage: chroot.sh BUILD}")"
  [ "$(id -u)" = 0 ] || fail "needs root"
  work="$(mktemp -d "${TMPDIR:-/tmp}/unroll-packages.XXXXXX")"
  trap 'rm -rf --one-file-system "$work"' EXIT
  unshare --mount --pid --fork --kill-child "$0" --inside "$build" "$work"
  exit
fi
build="$2" work="$3"
source="$(cd "$(dirname "$0")/../.." && pwd)"
. "$source/tests/packages/debian_root.sh"
root="$work/root"
book=/usr/share/common-licenses/GPL-3
socket=/var/lib/unroll/check.sock

version="$(sed -n 's/^set(CPACK_PACKAGE_VERSION "\(.*\)")/\1/p' "$build/CPackConfig.cmake")"
next="$version.1"
packages=(unroll unroll-plugins unroll-model unroll-dev)

enter=(env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive chroot "$root")
in_root() { "${enter[@]}" "$@"; }
apt() { in_root apt-get -qq -y "$@" >"$work/apt.log" 2>&1 || { cat "$work/apt.log"; fail "apt-get $*"; }; }
install_packages() {
  apt install $(cd "$root" && printf '/%s ' packages/*.deb)
}
# All file names, except the package manager's own records.
files() {
  in_root find / -xdev \( -path /proc -o -path /dev -o -path /tmp -o -path /packages -o -path /var/lib/dpkg -o -path /var/lib/apt \
    -o -path /var/cache -o -path /var/log -o -path /run/systemd \) -prune -o -print | sort
}

make_root() {
  debian_root "$root" "$work"
  mount -t proc proc "$root/proc"
  mount -t tmpfs tmpfs "$root/dev"
  for node in null:3 zero:5 full:7 random:8 urandom:9; do
    mknod -m 666 "$root/dev/${node%:*}" c 1 "${node#*:}"
  done
  mkdir "$root/dev/shm" "$root/dev/pts" "$root/packages"
  chmod 1777 "$root/dev/shm"
  mount -t devpts devpts "$root/dev/pts" -o newinstance,ptmxmode=0666
  ln -s pts/ptmx "$root/dev/ptmx"
}

try_archive() {
  say "the archive, where only Debian's smallest set of packages is"
  mkdir -p "$root/tmp/any where"
  tar -xzf "$build"/packages/unroll-*.tar.gz -C "$root/tmp/any where" --strip-components=1
  in_root "/tmp/any where/bin/unroll" score "$book" --embedded --format json >"$work/archive.json"
  in_root "/tmp/any where/bin/unroll" plugin list | grep -c . | grep -qx 6 || fail "the archive's plugins"
  rm -rf "$root/tmp/any where"
}

daemon=''
start_daemon() {
  # As in the unit: its command, its user, its folders.
  local unit="$root/usr/lib/systemd/system/unrolld.service" command user
  command="$(sed -n 's/^ExecStart=//p' "$unit")"
  user="$(sed -n 's/^User=//p' "$unit")"
  # shellcheck disable=SC2086  # the words of the command
  "${enter[@]}" setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs \
    env HOME=/var/lib/unroll STATE_DIRECTORY=/var/lib/unroll $command --socket "$socket" >"$work/daemon.log" 2>&1 &
  daemon=$!
  for _ in {1..600}; do
    [ ! -S "$root$socket" ] || return 0
    kill -0 "$daemon" 2>/dev/null || break
    sleep 0.1
  done
  cat "$work/daemon.log"
  fail "unrolld did not start"
}
stop_daemon() {
  kill -TERM "$daemon"
  wait "$daemon" || fail "unrolld ended with $?"
}
# Only through the socket: a client that has no model of its own.
score() {
  in_root env UNROLL_MODEL=/nonexistent unroll score "$book" --socket "$socket" --format json >"$1" || fail "unroll score"
}

check_scores() {
  local bytes
  bytes="$(stat -c %s "$root$book")"
  python3 - "$1" "$bytes" <<'PYTHON' || fail "the scores in $1"
import json, sys
last = json.loads(open(sys.argv[1]).read().splitlines()[-1])
print("chroot:", {key: last[key] for key in ("tokens", "bytes", "nats", "bits_per_byte")})
assert last["bytes"] == int(sys.argv[2]) and 1 < last["bits_per_byte"] < 3, last
PYTHON
}

make_root
try_archive
check_scores "$work/archive.json"

cp "$build"/packages/*.deb "$root/packages/"
dependencies=($(in_root sh -c 'apt-get update -qq && apt-get -s install /packages/*.deb' | awk '$1 == "Inst" && $2 !~ /^unroll/ {print $2}' | sort -u))
say "needs from Debian: ${dependencies[*]}"
apt install "${dependencies[@]}"
files >"$work/before"

say "install $version"
install_packages
in_root getent passwd unroll | grep -q ':/var/lib/unroll:' || fail "no user unroll"
[ "$(in_root stat -c %U:%a /var/lib/unroll)" = unroll:700 ] || fail "/var/lib/unroll"
for unit in sockets.target.wants/unrolld.socket multi-user.target.wants/unrolld.service; do
  [ -L "$root/etc/systemd/system/$unit" ] || fail "$unit is not enabled"
done
in_root systemd-analyze --man=no verify /usr/lib/systemd/system/unrolld.service /usr/lib/systemd/system/unrolld.socket \
  /usr/lib/systemd/system/unroll-follow@.service || fail "the units"
start_daemon
score "$work/installed.json"
check_scores "$work/installed.json"
[ -s "$root/var/lib/unroll/unroll.journal" ] || fail "no journal in /var/lib/unroll"
stop_daemon

say "a plugin built with unroll-dev"
cmake -S "$source/examples/word_count" -B "$work/plugin" -Dunroll_DIR="$root/usr/lib/cmake/unroll" >"$work/plugin.log"
cmake --build "$work/plugin" >>"$work/plugin.log" || { cat "$work/plugin.log"; fail "examples/word_count"; }
cp "$work/plugin/word_count.so" "$root/tmp/"
in_root unroll plugin check /tmp/word_count.so | tail -n 1 | grep '^PASSED' || fail "unroll plugin check"

say "upgrade to $next, with a changed configuration"
sed -i 's/"log_level": "info"/"log_level": "warning"/' "$root/etc/unroll/unrolld.json"
cpack --config "$build/CPackConfig.cmake" -G DEB -B "$work/next" -D CPACK_PACKAGE_VERSION="$next" -D CPACK_DEBIAN_COMPRESSION_TYPE=zstd \
  >"$work/cpack.log" 2>&1 || { cat "$work/cpack.log"; fail "cpack"; }
rm "$root"/packages/*
mv "$work/next"/*.deb "$root/packages/"
rm -r "$work/next"
install_packages
[ "$(in_root dpkg-query -W -f '${Version}' unroll)" = "$next" ] || fail "not upgraded"
grep -q '"warning"' "$root/etc/unroll/unrolld.json" || fail "the upgrade took the configuration"
[ -s "$root/var/lib/unroll/unroll.journal" ] || fail "the upgrade took the journal"
start_daemon
score "$work/upgraded.json"
cmp "$work/installed.json" "$work/upgraded.json"
stop_daemon

say "remove, then purge"
apt remove "${packages[@]}"
grep -q '"warning"' "$root/etc/unroll/unrolld.json" || fail "removal took the configuration"
[ -s "$root/var/lib/unroll/unroll.journal" ] || fail "removal took the journal"
apt purge unroll  # the others have nothing left to purge
files >"$work/after"
rm -f "$root/tmp/word_count.so"
if left="$(comm -13 "$work/before" "$work/after" | grep -vxE '/etc/(passwd|group|shadow|gshadow)-')"; then
  fail "left after the purge: $left"
fi
[ "$(in_root sh -c "dpkg -l | grep -c ' unroll'")" = 0 ] || fail "dpkg still knows unroll"
say "PASSED: nothing is left but the user unroll"
