# A later version: changes to the configuration stay, the socket is systemd's, and the new daemon runs.
set_key journal keep_finished_hours 48
systemctl restart unrolld.service
pid="$(main_pid)" socket_begin="$(property unrolld.socket ActiveEnterTimestampMonotonic)"
as alice unroll score "$book" --socket "$socket" --format json >/tmp/before.json
apt-get install -qq -y /packages/next/unroll_*.deb /packages/next/unroll-plugins_*.deb /packages/next/unroll-model_*.deb \
  >/tmp/apt.log 2>&1 || fail "apt-get: $(tail /tmp/apt.log)"
[ "$(main_pid)" != "$pid" ] || fail "the old daemon runs"
[ "$(property unrolld.socket ActiveEnterTimestampMonotonic)" = "$socket_begin" ] || fail "the socket was closed meanwhile"
grep -q '"keep_finished_hours": 48' "$configuration" || fail "the configuration is not as it was"
check_service
cmp /tmp/before.json /tmp/scored.json
