# Every order of two operations on the two units leaves systemd's socket with access for the group, or none.
operations=(start:unrolld.service start:unrolld.socket 'start:unrolld.socket unrolld.service' stop:unrolld.service
  stop:unrolld.socket 'stop:unrolld.service unrolld.socket' restart:unrolld.service restart:unrolld.socket
  'restart:unrolld.socket unrolld.service' reload:unrolld.service)

last='the beginning'
operate() {
  local verb="${1%%:*}"
  trail="$last, then $1"
  last="$1"
  if [ "$verb" = reload ] && [ "$(systemctl is-active unrolld.service)" != active ]; then return 0; fi
  # shellcheck disable=SC2086  # one unit or two
  systemctl --quiet $verb ${1#*:} || fail "$trail: failed"
  check_state
}

# An active socket serves; an active service has an active socket; nothing has failed; a socket file belongs to an
# active socket.
check_state() {
  local service socket_unit
  service="$(systemctl is-active unrolld.service || true)"
  socket_unit="$(systemctl is-active unrolld.socket || true)"
  [ "$service" != failed ] && [ "$socket_unit" != failed ] || fail "$trail: a unit is failed"
  [ "$service" != active ] || [ "$socket_unit" = active ] || fail "$trail: the service runs without systemd's socket"
  if [ "$socket_unit" != active ]; then
    [ ! -e "$socket" ] || fail "$trail: a socket that nobody listens on"
  else
    (check_socket) || fail "$trail"
    as alice unroll documents --socket "$socket" >/dev/null || fail "$trail: not served"
  fi
}

# The shortest sequence with every pair: 0, 01, 02, ..., 1, 12, 13, ..., and the first again.
for ((i = 0; i < ${#operations[@]}; i++)); do
  operate "${operations[i]}"
  for ((j = i + 1; j < ${#operations[@]}; j++)); do
    operate "${operations[i]}"
    operate "${operations[j]}"
  done
done
operate "${operations[0]}"
systemctl stop unrolld.socket unrolld.service
systemctl start unrolld.service
check_service
