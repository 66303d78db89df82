# The same version again while documents are read: they continue, and the socket stays systemd's.
mkdir /srv/docs/again
for i in 1 2; do long_text "/srv/docs/again/$i.txt" "a$i"; done
batch() { as alice unroll batch /srv/docs/again --out "$1" --socket "$socket"; }
reinstall() {
  apt-get install --reinstall -qq -y /packages/unroll_*.deb >/tmp/apt.log 2>&1 || fail "apt-get: $(tail /tmp/apt.log)"
}
batch /home/alice/undisturbed >/dev/null 2>&1
pid="$(main_pid)"
batch /home/alice/disturbed >/tmp/batch.log 2>&1 &
running=$!
reading() { as alice unroll documents --socket "$socket" --format ndjson | grep -q '"phase":"open"'; }
eventually 240 reading
reinstall
[ "$(main_pid)" != "$pid" ] || fail "the daemon was not restarted"
wait "$running" || fail "the batch: $(cat /tmp/batch.log)"
for i in 1 2; do cmp /home/alice/undisturbed/"$i".txt.* /home/alice/disturbed/"$i".txt.*; done
check_service

systemctl stop unrolld.socket unrolld.service
reinstall
check_service
