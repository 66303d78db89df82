# Two members of the group: neither sees, reads or cancels the other's documents.
mkfifo /tmp/alice.in
as alice python3 /check/scenarios/peer.py hold 'the merger is on tuesday, tell nobody. ' </tmp/alice.in >/tmp/alice.out 2>&1 &
holder=$!
exec 3>/tmp/alice.in
eventually 240 test -s /tmp/alice.out
document="$(cat /tmp/alice.out)"
[ ${#document} = 32 ] || fail "alice: $document"

as alice unroll documents --socket "$socket" --format ndjson | grep -q "$document" || fail "alice does not see her document"
[ -z "$(as bob unroll documents --socket "$socket" --format ndjson)" ] || fail "bob sees documents"
as bob curl -sS --unix-socket "$socket" http://unroll/v1/documents >/tmp/bob.json
if grep -qE "$document|secret" /tmp/bob.json; then fail "bob sees alice's document by HTTP"; fi
for command in cancel attach; do
  refused "no document '$document' of yours" as bob unroll "$command" "$document" --socket "$socket"
done
for call in 'document.status {"document":"%s"}' 'document.append {"document":"%s","text":"x"}' 'document.end {"document":"%s"}' \
  'document.open {"plugins":[{"name":"score"}],"stream":true,"resume":"%s"}'; do
  # shellcheck disable=SC2059  # the id's place
  answer="$(as bob python3 /check/scenarios/peer.py call "${call%% *}" "$(printf "${call#* }" "$document")")"
  grep -q '"name": "document_unknown"' <<<"$answer" || fail "bob, ${call%% *}: $answer"
done
exec 3>&-
wait "$holder" || fail "alice's document did not end well: $(cat /tmp/alice.out)"
rm /tmp/alice.in

# If the kernel gives all users one uid, they are refused.
with_settings 'PrivateUsers=yes'
systemctl restart unrolld.service
for user in alice bob; do
  refused 'cannot distinguish you from other users' as "$user" unroll documents --socket "$socket"
done
