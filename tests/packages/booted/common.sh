# Sourced before each scenario, in the container, as root.
set -euo pipefail

socket=/run/unroll/unroll.sock
configuration=/etc/unroll/unrolld.json
drop_in=/run/systemd/system/unrolld.service.d/check.conf
book=/usr/share/common-licenses/GPL-3

fail() {
  printf '%s\n' "$*" >&2
  exit 1
}

# eventually SECONDS COMMAND...: waits until the command succeeds.
eventually() {
  local until=$((SECONDS + $1))
  shift
  while ! "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$until" ] || fail "not within its time: $*"
    sleep 0.2
  done
}

as() {  # as USER COMMAND...: with the user's groups and no variable of root's
  local user="$1"
  shift
  runuser -u "$user" -- env -i PATH=/usr/bin:/bin LC_ALL=C.UTF-8 HOME="/home/$user" UNROLL_MODEL=/nonexistent "$@"
}

refused() {  # refused TEXT COMMAND...: the command fails and says TEXT
  local text="$1" said
  shift
  if said="$("$@" 2>&1)"; then fail "not refused: $*: $said"; fi
  grep -qF -- "$text" <<<"$said" || fail "$* fails, but does not say '$text': $said"
}

property() {  # property UNIT NAME
  systemctl show --property "$2" --value "$1"
}

main_pid() { property unrolld.service MainPID; }
restarts() { property unrolld.service NRestarts; }

# What must always hold: the socket is systemd's and the group's, the daemon is ready, and a member of the group can
# score a text through it.
check_service() {
  local unit
  for unit in unrolld.socket unrolld.service; do
    [ "$(systemctl is-active "$unit")" = active ] || fail "$unit is $(systemctl is-active "$unit")"
  done
  check_socket
  as alice unroll score "$book" --socket "$socket" --format json >/tmp/scored.json || fail "alice's text is not scored"
  grep -q '"bits_per_byte":' /tmp/scored.json || fail "no scores: $(cat /tmp/scored.json)"
}

check_socket() {
  local mode
  mode="$(stat -c '%F %a %U:%G' "$socket")" || fail "there is no socket"
  [ "$mode" = 'socket 660 unroll:unroll' ] || fail "the socket is a $mode"
}

# The daemon's log since a moment (date +%s.%N).
log_since() {
  journalctl --unit unrolld.service --since "@$1" --output cat --no-pager
}
logged() {  # logged MOMENT TEXT
  log_since "$1" | grep -qF -- "$2"
}
now() { date +%s.%N; }

with_settings() {  # with_settings LINE...: of the unit's [Service], until reset_service
  mkdir -p "${drop_in%/*}"
  { echo '[Service]'; printf '%s\n' "$@"; } >"$drop_in"
  systemctl daemon-reload
}

set_key() {  # set_key SECTION KEY JSON: of the configuration, until reset_service
  python3 - "$configuration" "$@" <<'PYTHON'
import json, sys
file, section, key, value = sys.argv[1:]
settings = json.load(open(file))
settings[section][key] = json.loads(value)
json.dump(settings, open(file, "w"))
PYTHON
}

# A text that takes the daemon some seconds.
long_text() {  # long_text FILE SEED
  local i
  for i in 1 2 3; do sed "s/the/the $2$i/" "$book"; done >"$1"
  chmod a+r "$1"
}

# Restores the service as installed, whatever a scenario did.
reset_service() {
  rm -rf "${drop_in%/*}"
  if mountpoint -q /var/lib/unroll; then umount --lazy /var/lib/unroll; fi
  [ ! -e /check/unrolld.json ] || cp /check/unrolld.json "$configuration"
  systemctl daemon-reload
  systemctl reset-failed
  systemctl restart unrolld.socket unrolld.service
}
