# kill -9 with five documents in flight: a new daemon continues them without their clients, with the same bytes.
documents() { as alice unroll documents --socket "$socket" --format ndjson; }
read_all() {  # each in a client of its own; their ends are the daemon's to see
  local i
  for i in 1 2 3 4 5; do
    as alice unroll score "/srv/docs/kill$i.txt" --granularity line --socket "$socket" >/dev/null 2>&1 &
  done
}
ids() { documents | grep '"name":"[^"]*kill[1-5].txt"' | grep -o '"document":"[0-9a-f]*"' | cut -d '"' -f 4 | sort; }
keep_outputs() {  # keep_outputs SUFFIX ID...: of each document in a file with its number
  local suffix="$1" id i
  shift
  for id in "$@"; do
    i="$(documents | grep "\"$id\"" | grep -o 'kill[0-9]')"
    as alice unroll attach "$id" --socket "$socket" >"/tmp/$i.$suffix"
  done
}
all_done() { [ "$(ids | wc -l)" = "$1" ] && [ "$(documents | grep -c '"phase":"open"')" = 0 ]; }

for i in 1 2 3 4 5; do long_text "/srv/docs/kill$i.txt" "k$i"; done
read_all
wait
all_done 5 || fail "the documents were not read: $(documents)"
ids >/tmp/undisturbed
mapfile -t list </tmp/undisturbed
keep_outputs whole "${list[@]}"

read_all
in_flight() { [ "$(documents | grep '"phase":"open"' | grep -c '"outputs":[1-9]')" = 5 ]; }
eventually 240 in_flight
pid="$(main_pid)"
kill -KILL "$pid"
wait
served() { [ "$(main_pid)" != "$pid" ] && [ "$(systemctl is-active unrolld.service)" = active ]; }
eventually 240 served
eventually 600 all_done 10
if documents | grep 'kill[1-5].txt' | grep '"phase":"failed"'; then fail "documents failed"; fi
mapfile -t list < <(ids | comm -13 /tmp/undisturbed -)
keep_outputs resumed "${list[@]}"
for i in 1 2 3 4 5; do
  [ -s "/tmp/kill$i.whole" ] || fail "document $i has no outputs"
  cmp "/tmp/kill$i.whole" "/tmp/kill$i.resumed"
done
check_service
