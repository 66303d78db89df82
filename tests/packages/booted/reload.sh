# Reloads while documents are read change none of their bytes; a user may not reload.
declare -A clients
for i in 1 2 3 4; do
  long_text "/srv/docs/reload$i.txt" "r$i"
  as alice unroll score "/srv/docs/reload$i.txt" --granularity line --format ndjson --socket "$socket" >"/tmp/expected$i"
done
pid="$(main_pid)"
for i in 1 2 3 4; do
  as alice unroll score "/srv/docs/reload$i.txt" --granularity line --format ndjson --socket "$socket" >"/tmp/reloaded$i" &
  clients[$i]=$!
done
reading() { as alice unroll documents --socket "$socket" --format ndjson | grep -q '"phase":"open"'; }
eventually 120 reading
for _ in 1 2 3; do systemctl reload unrolld.service || fail "systemctl reload"; done
reading || fail "the reloads came after the documents' end: no load"
refused "for root and the daemon's own user" as alice unroll reload --socket "$socket"
for i in 1 2 3 4; do
  wait "${clients[$i]}" || fail "document $i failed"
  cmp "/tmp/expected$i" "/tmp/reloaded$i"
done
[ "$(main_pid)" = "$pid" ] || fail "the daemon was restarted"
check_service
