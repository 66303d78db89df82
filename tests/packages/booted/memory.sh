# Too much memory: first the plugin's limit, then the kernel's by MemoryMax=; the service survives both.
cp /check/leaks.so /usr/lib/unroll/plugins/
set_key plugins memory_bytes $((128 << 20))
systemctl restart unrolld.service
long_text /srv/docs/memory.txt m
for _ in {1..6}; do cat /srv/docs/memory.txt; done >/srv/docs/much.txt  # the plugin takes 16 MiB for each of its 90 blocks
leak() { as alice unroll run /srv/docs/much.txt --plugin leaks --socket "$socket" --format ndjson; }
refused 'its limit is 128 MiB' leak
check_service

# Allow the plugin more than the unit.
set_key plugins memory_bytes $((8 << 30))
with_settings 'MemoryMax=700M' 'MemorySwapMax=0'
systemctl restart unrolld.service
pid="$(main_pid)"
as alice unroll score /srv/docs/memory.txt --granularity line --format ndjson --socket "$socket" >/tmp/beside &
beside=$!
begin="$(now)"
leak >/tmp/leaked 2>&1 || true  # a worker that the kernel ends is replaced a few times: it may even come to its end
logged "$begin" 'was killed by signal 9' || fail "the kernel ended no worker: $(cat /tmp/leaked)"
wait "$beside" || fail "another document was lost"
[ "$(main_pid)" = "$pid" ] || fail "the kernel took the daemon, not the worker that grew"
check_service
rm /usr/lib/unroll/plugins/leaks.so
