# The packaged unit follows several logs with the machine's daemon, and loses no event, whatever is killed or restarted.
# The journal is no file, so an event can come again after kill -9, and only then.
unit=unroll-follow@check.service
mkdir -p /var/log/check
log=/var/log/check/app.log other=/var/log/check/other.log
routine() {  # routine FILE COUNT
  local i
  for i in $(seq "$2"); do
    printf '2026-01-01 10:%02d:%02d INFO worker %d finished job %d in %d ms\n' $((i / 60 % 60)) $((i % 60)) $((i % 7)) "$i" $((40 + i % 9))
  done >>"$1"
}
odd() { echo "2026-01-01 11:00:00 CRITICAL $1" >>"$2"; }  # odd TEXT FILE: a text that comes again is usual
shown() { journalctl --unit "$unit" --output cat --no-pager | grep -cF "CRITICAL $1" || true; }
once() { [ "$(shown "$1")" = 1 ]; }
routine "$log" 400
routine "$other" 400
chown root:adm "$log" "$other"
chmod 0640 "$log" "$other"
printf '%s\n' 'LOGS=/var/log/check/*.log' 'OPTIONS=--threshold 8' >/etc/unroll/follow/check.conf
systemctl enable --now --quiet "$unit"
eventually 60 systemctl is-active "$unit"
odd "refusing to mount /dev/sdb1" "$log"
eventually 120 once "refusing to mount /dev/sdb1"
odd "power supply 2 lost input" "$other"
eventually 120 once "power supply 2 lost input"
[ "$(stat -c '%U %a' /var/lib/unroll-follow/check)" = 'unroll-follow 700' ] ||
  fail "the state is $(stat -c '%U %a' /var/lib/unroll-follow/check)"

systemctl kill --signal KILL "$unit"
odd "certificate of ca.example expired" "$log"
eventually 120 once "certificate of ca.example expired"
systemctl restart unrolld.service
odd "stack overflow in the parser" "$other"
eventually 120 once "stack overflow in the parser"

begin=$SECONDS
systemctl stop "$unit"
echo "figure: follow stopped in $((SECONDS - begin)) s"
[ "$(property "$unit" Result)" = success ] || fail "it did not stop by itself: $(property "$unit" Result)"
odd "temperature above threshold" "$log"  # while it is stopped, and the log is rotated
mv "$log" "$log.1"
routine "$log" 3
systemctl start "$unit"
eventually 120 once "temperature above threshold"
for event in "stack overflow in the parser" "temperature above threshold"; do
  once "$event" || fail "'$event' is shown $(shown "$event") times"
done
# Its documents are those of its user, not alice's.
if as alice unroll documents --socket "$socket" --format ndjson | grep -q '/var/log/check'; then fail "alice sees them"; fi
systemctl disable --now --quiet "$unit"
rm -r /var/log/check /etc/unroll/follow/check.conf
check_service
