#!/usr/bin/env bash
# Starts a daemon in a temporary folder, lets it read a real text and a real log of this machine, and stops it. Needs
# `make build`; leaves nothing behind.
set -euo pipefail
cd "$(dirname "$0")/.."

unroll=build/bin/unroll
unrolld=build/bin/unrolld
start_seconds=180
log_lines=2000

bold='' dim='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
  bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
fail() {
  printf 'demo: %s\n' "$*" >&2
  exit 1
}
# Prints a command, runs it, and prints how long it took.
show() {
  local begin=$SECONDS
  printf '%s$ %s%s\n' "$dim" "$*" "$plain"
  "$@"
  printf '%s(%s s)%s\n' "$dim" "$((SECONDS - begin))" "$plain"
}

for program in "$unroll" "$unrolld"; do
  [ -x "$program" ] || fail "there is no $program; run 'make build' first"
done

work="$(mktemp -d "${TMPDIR:-/tmp}/unroll-demo.XXXXXX")"
daemon=''
clean_up() {
  if [ -n "$daemon" ] && kill -0 "$daemon" 2>/dev/null; then
    kill -TERM "$daemon" 2>/dev/null || true
    wait "$daemon" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# A text: the GPL if this machine has it, otherwise another licence, otherwise our own.
text=LICENSE
for file in /usr/share/common-licenses/GPL-3 /usr/share/common-licenses/*; do
  if [ -f "$file" ] && [ -r "$file" ] && [ -s "$file" ]; then
    text="$file"
    break
  fi
done
# A log: the package manager's, at one of its usual places.
log=''
for file in /var/log/dpkg.log /var/log/dpkg.log.1 /var/log/apt/history.log /var/log/alternatives.log; do
  if [ -f "$file" ] && [ -r "$file" ] && [ -s "$file" ]; then
    log="$file"
    break
  fi
done

say "Starting unrolld on a private socket"
socket="$work/unroll.sock"
"$unrolld" --socket "$socket" --journal "$work/unroll.journal" 2>"$work/unrolld.log" &
daemon=$!
began=$SECONDS
until "$unroll" status --socket "$socket" >"$work/status" 2>/dev/null; do
  if ! kill -0 "$daemon" 2>/dev/null || ((SECONDS - began > start_seconds)); then
    cat "$work/unrolld.log" >&2
    fail "the daemon did not start; its log is above"
  fi
  sleep 0.1
done
grep -E '^model\.(name|parameters|device|dtype) ' "$work/status" || true

say "How surprising is $text, and where most?"
show "$unroll" score "$text" --top 5 --socket "$socket"

if [ -n "$log" ]; then
  tail -n "$log_lines" "$log" >"$work/${log##*/}"
  say "The oddest of the last $(wc -l <"$work/${log##*/}") lines of $log"
  show "$unroll" anomaly "$work/${log##*/}" --top 5 --socket "$socket"
else
  say "This machine has no log of its package manager that may be read: that part is left out"
fi

say "A summary of $text"
show "$unroll" summarize "$text" --words 80 --socket "$socket"

say "Stopping the daemon (SIGTERM)"
kill -TERM "$daemon"
status=0
wait "$daemon" || status=$?
daemon=''
if [ "$status" != 0 ]; then
  cat "$work/unrolld.log" >&2
  fail "the daemon ended with exit code $status; its log is above"
fi
echo "It stopped cleanly; the temporary folder is removed."
