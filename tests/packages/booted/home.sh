# A model in a home folder, which the service does not see: the log says why.
cp -r /usr/share/unroll/models/unroll-small /home/alice/model
chmod -R a+rX /home/alice
set_key model directory '"/home/alice/model"'
begin="$(now)"
refused 'failed' systemctl restart unrolld.service
logged "$begin" 'ProtectHome' || fail "the log does not name ProtectHome: $(log_since "$begin")"
mv /home/alice/model /srv/model
set_key model directory '"/srv/model"'
eventually 120 systemctl is-active unrolld.service
check_service
