# Mail and chat. Sourced by all.sh. A syslog receiver writes what they log.
start_syslog() {
    printf 'module(load="imuxsock")\nmodule(load="builtin:omfile" fileCreateMode="0666" dirCreateMode="0777")\n$umask 0000\nmail.* %s/mail-syslog.log\nauth,authpriv.* %s/auth-syslog.log\ncron.* %s/cron-syslog.log\ndaemon.* %s/daemon-syslog.log\nlocal0.* %s/local0-syslog.log\n*.* %s/rsyslog-all.log\n' \
        "$logs" "$logs" "$logs" "$logs" "$logs" "$logs" >/tmp/rsyslog.conf
    rsyslogd -f /tmp/rsyslog.conf -i /run/rsyslogd.pid
    sleep 1
}
run_postfix() {
    postconf -e inet_interfaces=loopback-only 'mynetworks=127.0.0.0/8' myhostname=lab.example maillog_file= smtpd_client_connection_rate_limit=0 'mydestination=localhost, lab.example' relayhost= debug_peer_level=1
    newaliases
    postfix start
    until_up 25
    for i in $(seq 150); do
        printf 'EHLO client%d.example\r\nMAIL FROM:<a%d@example.com>\r\nRCPT TO:<%s>\r\nDATA\r\nSubject: number %d\r\n\r\nHello %d\r\n.\r\nQUIT\r\n' $i $i "$([ $((i % 4)) = 0 ] && echo root@localhost || echo user$((i % 9))@$([ $((i % 3)) = 0 ] && echo nowhere.invalid || echo lab.example))" $i $i | nc -w 1 -q 1 127.0.0.1 25 >/dev/null
        [ $((i % 15)) = 0 ] && printf 'HELO x\r\nVRFY root\r\nBOGUS\r\nMAIL FROM:bad\r\n' | nc -w 1 -q 1 127.0.0.1 25
    done
    mailq
    postqueue -f
    postfix check
    postfix stop
}
run_dovecot() {
    printf 'protocols = imap pop3\nlisten = 127.0.0.1\nssl = no\ndisable_plaintext_auth = no\nauth_verbose = yes\nauth_debug = yes\nmail_debug = yes\nmail_location = maildir:/tmp/maildir\npassdb {\n driver = static\n args = password=pw\n}\nuserdb {\n driver = static\n args = uid=nobody gid=nogroup home=/tmp\n}\nfirst_valid_uid=1\nfirst_valid_gid=1\nlog_path = %s/dovecot-debug.log\n' "$logs" >/tmp/dovecot.conf
    mkdir -p /run/dovecot
    dovecot -F -c /tmp/dovecot.conf &
    until_up 143
    for i in $(seq 120); do
        printf 'a login user%d %s\r\nb list "" "*"\r\nc select inbox\r\nd fetch 1 body\r\ne bogus\r\nf logout\r\n' $((i % 9)) "$([ $((i % 4)) = 0 ] && echo bad || echo pw)" | nc -w 1 -q 1 127.0.0.1 143 >/dev/null &
        [ $((i % 12)) = 0 ] && {
            printf 'USER u\r\nPASS pw\r\nSTAT\r\nRETR 9\r\nQUIT\r\n' | nc -w 1 -q 1 127.0.0.1 110
            wait %%
        }
    done
    sleep 2
    kill %1
}
run_spamassassin() {
    printf 'Subject: Buy cheap V1agra now!!!\nFrom: x@y\n\nClick here FREE money $$$ http://1.2.3.4/\n' >/tmp/spam
    for i in 1 2; do spamassassin -L -D <"/tmp/spam"; done
}
run_ejabberd() {
    ejabberdctl foreground &
    until_up 5222
    for i in $(seq 30); do
        printf '<stream:stream to="x" xmlns="jabber:client" xmlns:stream="http://etherx.jabber.org/streams">' | nc -w 1 127.0.0.1 5222
        printf junk | nc -w 1 127.0.0.1 5222
    done
    ejabberdctl stop
    cat /var/log/ejabberd/*.log >"$logs/ejabberd-server.log"
}
run_prosody() {
    printf 'daemonize=false\ndata_path="/tmp"\nlog={debug="*console"}\nmodules_enabled={"saslauth","roster","disco","ping"}\nVirtualHost "localhost"\n' >/tmp/prosody.lua
    mkdir -p /run/prosody
    chown prosody /run/prosody
    prosody -F --config /tmp/prosody.lua &
    until_up 5222
    for i in $(seq 60); do printf "<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'><auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>" | nc -w 1 127.0.0.1 5222 >/dev/null; done
    pkill -f prosody
}
run_ngircd() {
    printf '[Global]\nName=irc.lab.example\nInfo=x\nListen=127.0.0.1\nPorts=6667\n[Options]\nDNS=no\nIdent=no\nPAM=no\n' >/tmp/irc.conf
    ngircd -n -f /tmp/irc.conf &
    until_up 6667
    for i in $(seq 60); do printf 'NICK n%d\r\nUSER u 0 * :x\r\nJOIN #c\r\nPRIVMSG #c :hi\r\nFOO\r\nQUIT\r\n' $i | nc -w 1 -q 1 127.0.0.1 6667 >/dev/null; done
    kill %1
}
has rsyslogd && start_syslog
has postfix && system postfix 200 run_postfix
has dovecot && system dovecot 120 run_dovecot
has spamassassin && system spamassassin 60 run_spamassassin
has ejabberdctl && system ejabberd 90 run_ejabberd
has prosody && system prosody 90 run_prosody
has ngircd && system ngircd 90 run_ngircd
