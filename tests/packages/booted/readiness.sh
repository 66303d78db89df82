# A daemon whose plugins do not work is not ready.
not_ready() {  # not_ready TEXT
  local begin
  begin="$(now)"
  refused 'failed' systemctl restart unrolld.service
  logged "$begin" "$1" || fail "the log does not say '$1': $(log_since "$begin")"
}
# The sandbox as it was before: workers may not enter theirs, and are killed for trying.
with_settings 'SystemCallFilter=~seccomp' 'SystemCallErrorNumber='
not_ready "the default plugin 'anomaly' cannot be loaded"
rm "$drop_in"
systemctl daemon-reload

plugin=/usr/lib/unroll/plugins/unroll_score.so
mv "$plugin" /tmp/
echo 'no library' >"$plugin"
not_ready "the default plugin 'score' cannot be loaded"
mv /tmp/unroll_score.so "$plugin"
eventually 120 systemctl is-active unrolld.service
check_service
