# Bob runs all hostile clients of the soak. Alice's pings are answered in time, root's reload works, and the service stops
# in its time.
set_key limits request_timeout_ms 10000  # as those clients expect
set_key limits documents_per_connection 150
systemctl restart unrolld.service
check_service
as bob python3 /check/scenarios/hostile.py gang 60 >/tmp/gang 2>&1 &
gang=$!
as alice python3 /check/scenarios/hostile.py ping 45 >/tmp/pings 2>&1 &
pings=$!
sleep 15
begin=$SECONDS
timeout 60 systemctl reload unrolld.service || fail "root's reload"
echo "figure: reload in $((SECONDS - begin)) s"
wait "$pings" || fail "alice's pings: $(cat /tmp/pings)"
cat /tmp/pings
begin=$SECONDS
systemctl stop unrolld.socket unrolld.service
echo "figure: stopped in $((SECONDS - begin)) s"
[ "$(property unrolld.service Result)" = success ] || fail "it did not stop by itself: $(property unrolld.service Result)"
wait "$gang" || fail "not as the protocol says: $(cat /tmp/gang)"
systemctl start unrolld.socket unrolld.service
check_service
