# A daemon that hangs is restarted.
with_settings 'WatchdogSec=8s' 'TimeoutAbortSec=2s'
systemctl restart unrolld.service
before="$(restarts)" pid="$(main_pid)"
kill -STOP "$pid"
restarted() { [ "$(restarts)" -gt "$before" ] && [ "$(systemctl is-active unrolld.service)" = active ]; }
eventually 240 restarted
[ "$(main_pid)" != "$pid" ] || fail "it is the same process"
check_service
[ -z "$(find / -xdev -name 'core*' -newer "$drop_in" -type f -user unroll 2>/dev/null)" ] || fail "a core dump was written"
