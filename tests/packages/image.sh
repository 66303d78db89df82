#!/usr/bin/env bash
# Executes the last stage of the Dockerfile below a fresh Debian, without Docker, and starts the result as Docker would:
# as process 1 of new namespaces, with a read-only root, no capabilities and two writable volumes.
#   image.sh PACKAGES     the folder of the .deb files
# Needs root, debootstrap and apt's mirror; leaves nothing behind.
set -euo pipefail

say() { printf 'image: %s\n' "$*"; }
fail() {
  printf 'image: FAILED: %s\n' "$*" >&2
  [ ! -s "${work:-/nonexistent}/daemon.log" ] || sed 's/^/  daemon: /' "$work/daemon.log" >&2
  exit 1
}

if [ "${1:-}" != --inside ]; then
  packages="$(realpath "${1:?usage: image.sh PACKAGES}")"
  [ "$(id -u)" = 0 ] || fail "needs root"
  work="$(mktemp -d "${TMPDIR:-/tmp}/unroll-image.XXXXXX")"
  trap 'rm -rf --one-file-system "$work"' EXIT
  unshare --mount --pid --fork --kill-child --mount-proc "$0" --inside "$packages" "$work"
  exit
fi
packages="$2" work="$3"
here="$(cd "$(dirname "$0")" && pwd)"
. "$here/debian_root.sh"
root="$work/root"
book=/usr/share/common-licenses/GPL-3
stop_seconds=10  # `docker stop`
eval "$(python3 "$here/image_of.py" "$here/../../Dockerfile")"

build_image() {
  local command
  debian_root "$root" "$work"
  mkdir "$root/packages"
  cp "$packages"/*.deb "$root/packages/"
  mount -t proc proc "$root/proc"
  for command in "${runs[@]}"; do
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive chroot "$root" sh -c "$command" \
      >"$work/run.log" 2>&1 || { tail "$work/run.log"; fail "RUN $command"; }
  done
  umount "$root/proc"
}

# As in Docker: the image read-only, volumes, its own /proc and /dev.
mount_container() {
  local volume node
  mount --bind "$root" "$root"
  for volume in "${volumes[@]}"; do
    mkdir -p "$work/volumes$volume"
    cp -a "$root$volume/." "$work/volumes$volume/"
    chown --reference "$root$volume" "$work/volumes$volume"
    chmod --reference "$root$volume" "$work/volumes$volume"
    mount --bind "$work/volumes$volume" "$root$volume"
  done
  mount -t tmpfs tmpfs "$root/tmp"
  mount -t tmpfs tmpfs "$root/dev"
  for node in null:3 zero:5 full:7 random:8 urandom:9; do mknod -m 666 "$root/dev/${node%:*}" c 1 "${node#*:}"; done
  cp "$root$book" "$root/tmp/book.txt"
  mount -o remount,bind,ro "$root"
}

as_user=(setpriv --reuid "${user[0]}" --regid "${user[1]}" --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all)
environment=(env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "${variables[@]}")

start_container() {
  unshare --pid --fork --kill-child --mount --net --ipc --uts --root="$root" -- sh -c \
    'mount -t proc proc /proc && exec "$@"' sh "${environment[@]}" "${as_user[@]}" "${entrypoint[@]}" >"$work/daemon.log" 2>&1 &
  container=$!
  for _ in {1..100}; do
    first="$(pgrep -P "$container" | head -n 1 || true)"
    [ -z "$first" ] || [ "$(cat "/proc/$first/comm")" != "${entrypoint[0]}" ] || return 0
    sleep 0.1
  done
  fail "the entry point did not start"
}

in_container() {  # as `docker exec`
  nsenter --target "$first" --mount --pid --net --ipc --uts --root --wdns=/ -- "${environment[@]}" "${as_user[@]}" "$@"
}

await_health() {
  for _ in {1..600}; do
    if in_container "${healthcheck[@]}" >"$work/health" 2>&1; then return 0; fi
    kill -0 "$container" 2>/dev/null || fail "it ended"
    sleep 0.1
  done
  fail "HEALTHCHECK: $(cat "$work/health")"
}

stop_container() {  # as `docker stop`; the exit code in $stopped, the milliseconds in $stop_ms
  local begin="${EPOCHREALTIME/./}"
  kill "-${stop_signal[0]}" "$first"
  while kill -0 "$container" 2>/dev/null && [ $((${EPOCHREALTIME/./} - begin)) -lt $((stop_seconds * 1000000)) ]; do sleep 0.05; done
  stop_ms=$(((${EPOCHREALTIME/./} - begin) / 1000))
  ! kill -0 "$container" 2>/dev/null || fail "still there after $stop_seconds s"
  stopped=0
  wait "$container" || stopped=$?
}

build_image
mount_container

say "start, HEALTHCHECK, exec"
start_container
await_health
[ "$(in_container id -u):$(in_container id -g)" = "${user[0]}:${user[1]}" ] || fail "the user's number"
[ "$(stat -c %u:%g "$work/volumes/var/lib/unroll")" = "${user[0]}:${user[1]}" ] || fail "the state volume is not the user's"
in_container env UNROLL_MODEL=/nonexistent unroll score "$book" --format json --socket /run/unroll/unroll.sock >"$work/scores"
grep -q '"bits_per_byte":' "$work/scores" || fail "no scores"
if in_container touch /usr/bin/x 2>/dev/null; then fail "the root is not read-only"; fi

say "zombies"
in_container sh -c 'for i in 1 2 3 4 5; do (sleep 0.2 & ) ; done'
sleep 1
[ "$(in_container sh -c 'grep -l "^State:.Z" /proc/[0-9]*/status 2>/dev/null' | wc -l)" = 0 ] || fail "zombies are left"

say "stop, with documents that are read"
for i in 1 2 3; do
  in_container sh -c 'for i in 1 2 3 4 5 6 7 8 9 10 11 12; do cat /tmp/book.txt; done | unroll score - --socket /run/unroll/unroll.sock' \
    >/dev/null 2>"$work/client$i" &
done
for _ in {1..100}; do
  reading="$(in_container curl -sS --unix-socket /run/unroll/unroll.sock http://unroll/metrics | sed -n 's/^unroll_documents{state="reading"} //p')"
  [ "$reading" != 3 ] || break
  sleep 0.1
done
[ "$reading" = 3 ] || fail "$reading documents are read"
stop_container
[ "$stopped" = 0 ] || fail "it exited with $stopped"
grep -q 'can be resumed' "$work/daemon.log" || fail "nothing was open when it stopped: no proof"
say "stopped after $stop_ms ms"

say "stop, while the model is loaded"
start_container
stop_container
[ "$stopped" = 0 ] || [ "$stopped" = 143 ] || fail "it exited with $stopped"

say "stop, while the engine hangs in a plugin"
state="$work/volumes/var/lib/unroll"
mkdir "$state/hanging"
cc -shared -fPIC -I "$here/../../plugins/include" -o "$state/hanging/hangs.so" "$here/../plugins/bad/hangs.c"
python3 - "$root/etc/unroll/unrolld.json" >"$state/hangs.json" <<'END'
import json, sys
config = json.load(open(sys.argv[1]))
config["plugins"] = {"directory": "/var/lib/unroll/hanging", "in_process": "hangs.so"}
config["stall_ms"] = 500
print(json.dumps(config))
END
chmod -R a+rX "$state/hanging" "$state/hangs.json"
usual=("${entrypoint[@]}")
entrypoint=("${entrypoint[@]/#\/etc\/unroll\/unrolld.json/\/var\/lib\/unroll\/hangs.json}")
start_container
await_health
in_container curl -sS --unix-socket /run/unroll/unroll.sock --data-binary @/tmp/book.txt 'http://unroll/v1/hangs?x=1' \
  >/dev/null 2>&1 &
for _ in {1..200}; do
  health="$(in_container curl -sS --unix-socket /run/unroll/unroll.sock http://unroll/healthz || true)"
  [[ "$health" != *"at one block for"* ]] || break
  sleep 0.1
done
[[ "$health" == *"at one block for"* ]] || fail "the engine does not hang: $health"
stop_container
[ "$stopped" = 1 ] || fail "it exited with $stopped"
grep -q 'because the engine is at a block' "$work/daemon.log" || fail "the log does not say why"
say "stopped after $stop_ms ms"
entrypoint=("${usual[@]}")

say "start again on the same volumes"
start_container
await_health
stop_container
[ "$stopped" = 0 ] || fail "it exited with $stopped"
say "PASSED"
