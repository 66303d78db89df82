#!/usr/bin/env bash
# Tests the service under a real systemd: boots a fresh Debian in a container with systemd as process 1, installs the
# packages there, and runs the scenarios of booted/ in order. A scenario is a script that runs in the container as root
# and fails with a line that says what is wrong; the others run even if one fails.
#   booted.sh PACKAGES [SCENARIO...]     PACKAGES: the folder of the .deb files
# Needs root, debootstrap, systemd-nspawn, gcc and apt's mirror; leaves nothing behind.
set -euo pipefail

say() { printf 'booted: %s\n' "$*"; }
fail() {
  printf 'booted: FAILED: %s\n' "$*" >&2
  exit 1
}

# Outside: the folder and the control groups. Inside (--inside): new namespaces, so that no mount and no process
# outlives the check.
if [ "${1:-}" != --inside ]; then
  packages="$(realpath "${1:?usage: booted.sh PACKAGES [SCENARIO...]}")"
  shift
  [ "$(id -u)" = 0 ] || fail "needs root"
  work="$(mktemp -d "${TMPDIR:-/tmp}/unroll-booted.XXXXXX")"
  groups=()
  # The container's own groups, below the root of each hierarchy: of version 2, and of version 1 what systemd uses.
  for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd /sys/fs/cgroup/memory; do
    [ ! -e "$hierarchy/cgroup.procs" ] || groups+=("$hierarchy/unroll-booted.$$")
  done
  inner=''
  clean() {
    [ -z "$inner" ] || kill "$inner" 2>/dev/null || true  # and with it, by --kill-child, all that is in there
    for _ in {1..100}; do  # until the last process has left its group
      ! find "${groups[@]}" -depth -type d -exec rmdir {} + 2>/dev/null || break
      sleep 0.1
    done
    rm -rf --one-file-system "$work"
  }
  trap clean EXIT
  trap 'exit 130' INT TERM
  mkdir "${groups[@]}"
  unshare --mount --pid --fork --kill-child --mount-proc "$0" --inside "$packages" "$work" "$@" --groups "${groups[@]}" &
  inner=$!
  wait "$inner"
  exit
fi
shift
packages="$1" work="$2"
shift 2
chosen=()
while [ "$1" != --groups ]; do
  chosen+=("$1")
  shift
done
shift
for group in "$@"; do echo $$ >"$group/cgroup.procs"; done
here="$(cd "$(dirname "$0")" && pwd)"
source="$(cd "$here/../.." && pwd)"
. "$here/debian_root.sh"
root="$work/root"

make_root() {
  debian_root "$root" "$work" systemd systemd-sysv dbus libpam-systemd dbus-user-session curl procps python3
  mkdir "$root/packages" "$root/packages/next" "$root/check"
  cp "$packages"/*.deb "$root/packages/"
  cp -r "$here/booted" "$root/check/scenarios"
  cp -r "$source/tests/soak" "$root/check/soak"
  gcc -shared -fPIC -I "$source/plugins/include" -o "$root/check/leaks.so" "$source/tests/plugins/bad/leaks.c"
  next_version
}

# The same packages as a later version, for the upgrade.
next_version() {
  local package file version
  for package in "$root"/packages/*.deb; do
    rm -rf "$work/package"
    dpkg-deb --raw-extract "$package" "$work/package"
    version="$(sed -n 's/^Version: //p' "$work/package/DEBIAN/control")"
    sed -i "s/^Version: .*/&.1/; s/(= $version)/(= $version.1)/" "$work/package/DEBIAN/control"
    file="$(basename "$package")"
    dpkg-deb --root-owner-group -Znone --build "$work/package" "$root/packages/next/${file/_$version/_$version.1}" >/dev/null
  done
  rm -rf "$work/package"
}

leader=''
in_machine() {
  nsenter --target "$leader" --mount --uts --ipc --pid --net --cgroup -- \
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}

boot() {
  # Landlock's calls are in no group that systemd-nspawn permits.
  systemd-nspawn --quiet --boot --directory "$root" --machine unroll-booted --register=no --keep-unit \
    --system-call-filter='landlock_create_ruleset landlock_add_rule landlock_restrict_self' \
    </dev/null >>"$work/console.log" 2>&1 &
  machine=$!
  for _ in {1..300}; do
    leader="$(pgrep -P "$machine" | head -n 1 || true)"
    if [ -n "$leader" ] && in_machine systemctl is-system-running --wait >/dev/null 2>&1; then
      delegate_memory
      return 0
    fi
    kill -0 "$machine" 2>/dev/null || break
    sleep 0.2
  done
  in_machine systemctl --failed --no-pager || tail -n 20 "$work/console.log"
  fail "the container did not boot"
}

# A container may not limit memory with control groups of version 1 unless they are writable for it.
delegate_memory() {
  in_machine sh -c 'grep -q "^cgroup /sys/fs/cgroup/memory " /proc/mounts || exit 0
    mount -o remount,bind,rw /sys/fs/cgroup/memory && systemctl daemon-reexec'
}

power_off() {
  in_machine systemctl poweroff >/dev/null 2>&1 || true
  wait "$machine" || true
}

failed=()
run_scenario() {
  local name="$1" begin result=passed
  say "$name"
  begin="${EPOCHREALTIME/./}"
  if ! in_machine bash -c "cd /check/scenarios && . ./common.sh && . ./$name.sh" >"$work/scenario.log" 2>&1 </dev/null; then
    result=FAILED
    failed+=("$name")
    tail -n 40 "$work/scenario.log" | sed "s/^/  $name: /"
    in_machine journalctl --unit unrolld.service --unit unrolld.socket --lines 25 --no-pager --output short-precise |
      sed "s/^/  $name: /" || true
  fi
  printf 'booted: %-18s %s %5d ms\n' "$name" "$result" $(((${EPOCHREALTIME/./} - begin) / 1000)) | tee -a "$work/summary"
  sed -n 's/^figure: /booted:   /p' "$work/scenario.log" | tee -a "$work/summary"
  in_machine bash -c "cd /check/scenarios && . ./common.sh && reset_service" >"$work/reset.log" 2>&1 </dev/null || true
}

mount --make-rprivate /
mount -t tmpfs tmpfs /run
make_root
boot
run_scenario install
# Enabled units must start at boot.
power_off
boot
for scenario in "${chosen[@]:-}"; do
  [ -n "$scenario" ] || continue
  run_scenario "$scenario"
done
if [ ${#chosen[@]} = 0 ]; then
  # shellcheck disable=SC2013  # one name per line
  for scenario in $(grep -v '^#' "$here/booted/order"); do run_scenario "$scenario"; done
fi
power_off
say "summary"
cat "$work/summary"
[ ${#failed[@]} = 0 ] || fail "${failed[*]}"
say "PASSED"
