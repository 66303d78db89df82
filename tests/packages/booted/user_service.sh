# The unit for one user: a daemon and a socket of the user's own.
loginctl enable-linger bob
runtime="/run/user/$(id -u bob)"
eventually 120 test -S "$runtime/bus"
user_systemctl() { as bob env XDG_RUNTIME_DIR="$runtime" DBUS_SESSION_BUS_ADDRESS="unix:path=$runtime/bus" systemctl --user "$@"; }
begin="$(now)"
as bob env XDG_RUNTIME_DIR="$runtime" systemctl --user start unrolld.service || fail "bob's service: $(journalctl --since "@$begin" --no-pager --output cat | tail)"
[ "$(stat -c '%a %U' "$runtime/unroll/unroll.sock")" = '600 bob' ] || fail "bob's socket"
as bob env XDG_RUNTIME_DIR="$runtime" unroll score "$book" --format json >/tmp/bob.json || fail "bob's text is not scored"
user_systemctl reload unrolld.service || fail "reload"
user_systemctl stop unrolld.service
[ ! -e "$runtime/unroll/unroll.sock" ] || fail "the socket stays"
loginctl disable-linger bob
