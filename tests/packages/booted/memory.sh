# Too much memory: the plugin's limit first, then the kernel's within MemoryMax=; the service outlives both.
cp /check/leaks.so /usr/lib/unroll/plugins/
set_key plugins memory_bytes $((256 << 20))
systemctl restart unrolld.service
long_text /srv/docs/memory.txt m
leak() { as alice unroll run /srv/docs/memory.txt --plugin leaks --socket "$socket" --format ndjson; }
refused 'its limit is 256 MiB' leak
check_service

# More for the plugin than for the unit.
for _ in 1 2 3; do cat /srv/docs/memory.txt; done >/srv/docs/much.txt
leak() { as alice unroll run /srv/docs/much.txt --plugin leaks --socket "$socket" --format ndjson; }
set_key plugins memory_bytes $((8 << 30))
with_settings 'MemoryMax=1G' 'MemorySwapMax=0'
systemctl restart unrolld.service
pid="$(main_pid)"
as alice unroll score /srv/docs/memory.txt --granularity line --format ndjson --socket "$socket" >/tmp/beside &
beside=$!
refused 'was killed by signal 9' leak
wait "$beside" || fail "another document was lost"
[ "$(main_pid)" = "$pid" ] || fail "the kernel took the daemon, not the worker that grew"
check_service
rm /usr/lib/unroll/plugins/leaks.so
