# A full disk: the log and a metric report it, the daemon stays up, and continues when there is room.
systemctl stop unrolld.service
mount -t tmpfs -o size=4M,mode=0700,uid="$(id -u unroll)",gid="$(id -g unroll)" tmpfs /var/lib/unroll
systemctl start unrolld.service
pid="$(main_pid)" begin="$(now)"
long_text /srv/docs/full.txt f
as alice unroll score /srv/docs/full.txt --granularity token --format ndjson --socket "$socket" >/tmp/full 2>/tmp/full.err &
client=$!
eventually 240 logged "$begin" 'disk is full'
[ "$(log_since "$begin" | grep -c 'disk is full')" -le 5 ] || fail "the log is full of it: $(log_since "$begin")"
as alice curl -sS --unix-socket "$socket" http://unroll/metrics >/tmp/metrics
grep -E '^unroll_events_total\{event="journal_error".* [1-9]' /tmp/metrics || fail "no metric counts it"
[ "$(main_pid)" = "$pid" ] || fail "the daemon was restarted"

# A start with a full disk does not lead to a restart loop.
kill "$client" || true
head -c 8M /dev/zero >/var/lib/unroll/filler || true
systemctl restart unrolld.service || true
before="$(restarts)"
sleep 11
[ $(($(restarts) - before)) -le 3 ] || fail "$(($(restarts) - before)) starts within 11 s"

rm /var/lib/unroll/filler
mount -o remount,size=256M /var/lib/unroll
eventually 120 systemctl is-active unrolld.service
check_service
