# A mistake in the configuration keeps the service from starting; it starts once that is corrected, whatever happened
# since.
begin="$(now)"
sed -i 's/"log_level"/"log_levle"/' "$configuration"
refused 'failed' systemctl restart unrolld.service
logged "$begin" "unknown configuration key 'log_levle'" || fail "the log does not name the key"
[ "$(systemctl is-active unrolld.socket)" = active ] || fail "the socket is $(systemctl is-active unrolld.socket)"
# Repeated starts, which would trigger a start limit.
for _ in {1..12}; do systemctl restart unrolld.service 2>/dev/null && fail "it starts with a wrong key"; done
as alice timeout 300 unroll score "$book" --socket "$socket" --format json >/tmp/waited.json &
waiting=$!
sleep 1
[ "$(systemctl is-active unrolld.socket)" = active ] || fail "a connection made the socket $(systemctl is-active unrolld.socket)"
cp /check/unrolld.json "$configuration"
wait "$waiting" || fail "the client that waited was not served"
check_service
