# A state folder that cannot be written: logged, retried, and the service starts once it can be written.
mount --bind /var/lib/unroll /var/lib/unroll
mount -o remount,bind,ro /var/lib/unroll
begin="$(now)"
refused 'failed' systemctl restart unrolld.service
logged "$begin" 'unroll.journal' || fail "the log does not name the journal: $(log_since "$begin")"
before="$(restarts)"
sleep 11
tries=$(($(restarts) - before))
[ "$tries" -ge 1 ] && [ "$tries" -le 3 ] || fail "$tries starts within 11 s"
if log_since "$begin" | grep 'loading the model'; then fail "the model is loaded before the journal is opened"; fi
mount -o remount,bind,rw /var/lib/unroll
eventually 120 systemctl is-active unrolld.service
check_service
