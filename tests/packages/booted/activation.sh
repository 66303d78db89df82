# A connection starts the stopped service and waits for it; users outside the group are refused.
systemctl stop unrolld.service
[ "$(systemctl is-active unrolld.socket)" = active ] || fail "the socket stopped with the service"
as alice unroll score "$book" --socket "$socket" --format json >/tmp/activated.json || fail "no service through the socket"
check_service
cmp /tmp/activated.json /tmp/scored.json
refused 'you may not connect' as mallory unroll score "$book" --socket "$socket"
# The sandbox does not change the results.
as alice env UNROLL_MODEL=/usr/share/unroll/models/unroll-small unroll score "$book" --embedded --format json >/tmp/embedded.json
cmp /tmp/embedded.json /tmp/scored.json || fail "the service's numbers are not those of --embedded"
[ "$(as alice curl -sS --unix-socket "$socket" http://unroll/healthz)" = ok ] || fail "/healthz"
