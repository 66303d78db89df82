# Name servers, remote access, file transfer, monitoring. Sourced by all.sh.
ask() {
    local port=$1 n=$2
    for i in $(seq "$n"); do dig +time=1 +tries=1 -p "$port" @127.0.0.1 "$(printf '%s\n' www.lab.example lab.example mail.lab.example nope.lab.example x$i.invalid localhost 1.0.0.127.in-addr.arpa | shuf -n 1)" "$(printf '%s\n' A AAAA MX TXT SOA AXFR PTR | shuf -n 1)" >/dev/null; done
}
zone() { printf '$TTL 60\n@ IN SOA ns hostmaster 1 60 60 600 60\n@ IN NS ns\nns IN A 127.0.0.1\nwww IN A 127.0.0.2\nmail IN MX 10 www\n' >/tmp/lab.zone; }
run_named() {
    zone
    mkdir -p /tmp/named
    chmod 777 /tmp/named
    printf 'options { directory "/tmp/named"; listen-on port 5300 { 127.0.0.1; }; listen-on-v6 { none; }; pid-file none; recursion yes; };\nzone "lab.example" { type primary; file "/tmp/lab.zone"; };\nzone "bad.example" { type primary; file "/tmp/nosuch"; };\nlogging { channel c { stderr; severity debug 3; print-time yes; print-category yes; print-severity yes; }; category default { c; }; category queries { c; }; };\n' >/tmp/named.conf
    named -f -c /tmp/named.conf &
    until_up 5300
    ask 5300 150
    kill %1
    sleep 1
    named-checkconf -z /tmp/named.conf
    named-checkzone lab.example /srv/www/a.txt
}
run_unbound() {
    printf 'server:\n port: 5301\n interface: 127.0.0.1\n do-daemonize: no\n username: ""\n chroot: ""\n pidfile: ""\n verbosity: 3\n log-queries: yes\n log-replies: yes\n use-syslog: no\n logfile: ""\n local-data: "www.lab.example A 127.0.0.3"\n do-not-query-localhost: no\nforward-zone:\n name: "."\n forward-addr: 127.0.0.1@9\n' >/tmp/unbound.conf
    unbound -d -c /tmp/unbound.conf &
    until_up 5301
    ask 5301 60
    kill %1
}
run_dnsmasq() {
    dnsmasq -d -q -p 5302 --listen-address=127.0.0.1 --bind-interfaces --no-resolv --server=127.0.0.1#9 --address=/lab.example/127.0.0.4 --log-debug &
    until_up 5302
    ask 5302 200
    kill %1
}
run_knot() {
    zone
    printf 'server:\n  listen: 127.0.0.1@5303\n  rundir: /tmp\ndatabase:\n  storage: /tmp/knotdb\nlog:\n - target: stderr\n   any: debug\nzone:\n - domain: lab.example\n   file: /tmp/lab.zone\n - domain: gone.example\n   file: /tmp/nosuch\n' >/tmp/knot.conf
    knotd -c /tmp/knot.conf &
    until_up 5303
    ask 5303 100
    kill %1
    sleep 1
}
run_nsd() {
    zone
    printf 'server:\n port: 5304\n ip-address: 127.0.0.1\n pidfile: ""\n chroot: ""\n username: ""\n zonesdir: /tmp\n database: ""\n verbosity: 5\n xfrdfile: /tmp/xfrd\n zonelistfile: /tmp/zl\nremote-control:\n control-enable: no\nzone:\n name: lab.example\n zonefile: /tmp/lab.zone\nzone:\n name: bad.example\n zonefile: /nosuch\n' >/tmp/nsd.conf
    nsd -d -V 5 -c /tmp/nsd.conf &
    until_up 5304
    ask 5304 80
    kill %1
}
run_pdns() {
    pdns_recursor --local-port=5305 --local-address=127.0.0.1 --config-dir=/tmp --socket-dir=/tmp --daemon=no --loglevel=8 --quiet=no --trace=yes --disable-syslog &
    until_up 5305
    ask 5305 15
    kill %1
}
run_sshd() {
    mkdir -p /run/sshd /root/.ssh
    ssh-keygen -A
    [ -e /root/.ssh/id_ed25519 ] || ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519
    cat /root/.ssh/id_ed25519.pub >/root/.ssh/authorized_keys
    useradd -m worker 2>/dev/null
    /usr/sbin/sshd -D -e -p 2222 -o LogLevel=VERBOSE -o ListenAddress=127.0.0.1 -o MaxAuthTries=3 -o PermitRootLogin=prohibit-password &
    until_up 2222
    /usr/sbin/sshd -p 2223 -o ListenAddress=127.0.0.1 -o LogLevel=INFO -o SyslogFacility=AUTH
    local o="-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes -o LogLevel=ERROR"
    for i in $(seq 70); do
        for p in 2222 2223; do
            ssh $o -p $p root@127.0.0.1 "$([ $((i % 5)) = 0 ] && echo exit 3 || echo true)"
            ssh $o -p $p "$(printf '%s\n' admin oracle test ubuntu worker nobody git | shuf -n 1)@127.0.0.1" true
        done
        [ $((i % 8)) = 0 ] && {
            printf 'GET / HTTP/1.0\r\n\r\n' | nc -w 1 127.0.0.1 2222
            ssh $o -p 2222 -c aes128-ctr -m hmac-md5 root@127.0.0.1 true
            sftp $o -P 2222 root@127.0.0.1 <<<'ls'
        }
    done >/dev/null 2>&1
    ssh -vvv ${o/-o LogLevel=ERROR/} -p 2222 root@127.0.0.1 true >"$logs/ssh-client-debug.log" 2>&1
    ssh -vv ${o/-o LogLevel=ERROR/} -p 2222 nobody@127.0.0.1 true >>"$logs/ssh-client-debug.log" 2>&1
}
run_proftpd() {
    printf 'ServerType standalone\nDefaultServer on\nPort 2121\nDefaultAddress 127.0.0.1\nUser nobody\nGroup nogroup\nRequireValidShell off\nAuthOrder mod_auth_unix.c\nTransferLog %s/proftpd-transfer.log\nExtendedLog %s/proftpd-commands.log ALL\nSystemLog %s/proftpd-system.log\n<Anonymous /srv/www>\nUser ftp\nUserAlias anonymous ftp\n</Anonymous>\n' "$logs" "$logs" "$logs" >/tmp/ftp.conf
    useradd ftp 2>/dev/null
    proftpd -n -d 5 -c /tmp/ftp.conf &
    until_up 2121
    for i in $(seq 80); do
        curl -s -m 3 -o /dev/null "ftp://127.0.0.1:2121/$(printf '%s\n' a.txt big.bin none index.html | shuf -n 1)"
        curl -s -m 3 -u "admin:wrong$i" ftp://127.0.0.1:2121/ -o /dev/null
    done
    kill %1
}
run_vsftpd() {
    printf 'listen=YES\nlisten_address=127.0.0.1\nlisten_port=2122\nanonymous_enable=YES\nanon_root=/srv/www\nxferlog_enable=YES\nlog_ftp_protocol=YES\ndual_log_enable=YES\nvsftpd_log_file=%s/vsftpd-protocol.log\nxferlog_file=%s/vsftpd-xfer.log\nbackground=NO\nseccomp_sandbox=NO\nsecure_chroot_dir=/srv\n' "$logs" "$logs" >/tmp/vsftpd.conf
    chmod a-w /srv/www
    vsftpd /tmp/vsftpd.conf &
    until_up 2122
    for i in $(seq 90); do
        curl -s -m 3 -o /dev/null "ftp://127.0.0.1:2122/$(printf '%s\n' a.txt big.bin none index.html | shuf -n 1)"
        curl -s -m 3 -u "bob:w$i" ftp://127.0.0.1:2122/ -o /dev/null
    done
    chmod u+w /srv/www
    kill %1
}
run_samba() {
    mkdir -p /tmp/smb/{p,l,s,c}
    printf '[global]\nworkgroup=LAB\nsmb ports=4445\ninterfaces=127.0.0.1\nbind interfaces only=yes\nprivate dir=/tmp/smb/p\nlock directory=/tmp/smb/l\nstate directory=/tmp/smb/s\ncache directory=/tmp/smb/c\npid directory=/tmp/smb\nncalrpc dir=/tmp/smb\nmap to guest=bad user\nlog level=3\n[share]\npath=/srv/www\nguest ok=yes\n' >/tmp/smb.conf
    smbd -F --no-process-group --debug-stdout -s /tmp/smb.conf &
    until_up 4445
    for i in $(seq 25); do
        smbclient -N -p 4445 //127.0.0.1/share -c 'ls; get a.txt /tmp/x; put /etc/hostname y; cd none'
        smbclient -p 4445 -U bob%bad //127.0.0.1/missing -c ls
    done
    kill %1
}
run_chrony() {
    printf 'server 127.0.0.1 port 9 iburst\nlocal stratum 10\npidfile /run/chronyd.pid\ndriftfile /tmp/drift\nallow 127.0.0.0/8\nport 1123\n' >/tmp/chrony.conf
    timeout 25 chronyd -d -x -f /tmp/chrony.conf -L 0 &
    sleep 5
    for i in $(seq 15); do
        chronyc tracking
        chronyc sources -v
        chronyc activity
        sleep 1
    done
}
run_snmpd() {
    printf 'agentaddress udp:127.0.0.1:1161\nrocommunity public\n' >/tmp/snmpd.conf
    snmpd -f -Lo -Dsnmp_agent,dump_recv -C -c /tmp/snmpd.conf udp:127.0.0.1:1161 &
    sleep 2
    for i in $(seq 25); do
        snmpget -v2c -c public 127.0.0.1:1161 1.3.6.1.2.1.1.$((i % 9)).0
        snmpget -r0 -t1 -v2c -c wrong 127.0.0.1:1161 1.3.6.1.2.1.1.1.0
    done
    snmpwalk -v2c -c public 127.0.0.1:1161 1.3.6.1.2.1 >"$logs/snmp-walk.log"
    kill %1
}
run_tor() { timeout 25 tor --DataDirectory /tmp/tor --SocksPort 9050 --Log 'info stdout' --DisableNetwork 0 --RunAsDaemon 0; }
run_privoxy() {
    printf 'listen-address 127.0.0.1:8118\nconfdir /etc/privoxy\ndebug 1\ndebug 1024\ndebug 4096\ndebug 8192\ndebug 512\n' >/tmp/privoxy.conf
    privoxy --no-daemon /tmp/privoxy.conf &
    until_up 8118
    web_load http://127.0.0.1:8091 150 http://127.0.0.1:8118
    kill %1
}
run_stunnel() {
    openssl req -x509 -newkey rsa:2048 -nodes -keyout /tmp/k.pem -out /tmp/c.pem -days 9 -subj /CN=lab
    cat /tmp/k.pem /tmp/c.pem >/tmp/kc.pem
    printf 'foreground=yes\ndebug=7\npid=\n[w]\naccept=127.0.0.1:8443\nconnect=127.0.0.1:8091\ncert=/tmp/kc.pem\n' >/tmp/stunnel.conf
    stunnel /tmp/stunnel.conf &
    until_up 8443
    for i in $(seq 40); do
        curl -sk -o /dev/null https://127.0.0.1:8443/
        curl -s https://127.0.0.1:8443/
        printf x | nc -w 1 127.0.0.1 8443
    done
    openssl s_client -connect 127.0.0.1:8443 -msg -debug </dev/null >"$logs/openssl-s_client.log" 2>&1
    kill %1
}
run_tcpdump() {
    (tcpdump -l -nn -i lo -c 4000 >"$logs/tcpdump-short.log" 2>&1 &)
    (tcpdump -l -vv -nn -tttt -i lo -c 1500 >"$logs/tcpdump-verbose.log" 2>&1 &)
    sleep 1
    web_load http://127.0.0.1:8091 150
}
run_prometheus() {
    printf 'global: {scrape_interval: 1s}\nscrape_configs:\n- {job_name: self, static_configs: [{targets: ["127.0.0.1:9090","127.0.0.1:9100","127.0.0.1:9"]}]}\nrule_files: [/tmp/rules.yml]\n' >/tmp/prom.yml
    printf 'groups:\n- name: g\n  interval: 1s\n  rules:\n  - {alert: Down, expr: "up == 0", for: 2s}\n' >/tmp/rules.yml
    prometheus-node-exporter --log.level=debug --web.listen-address=127.0.0.1:9100 >"$logs/node-exporter.log" 2>&1 &
    prometheus-alertmanager --config.file=/etc/prometheus/alertmanager.yml --storage.path=/tmp/am --log.level=debug --cluster.listen-address= >"$logs/alertmanager.log" 2>&1 &
    prometheus --config.file=/tmp/prom.yml --storage.tsdb.path=/tmp/prom --log.level=debug --web.enable-lifecycle --web.listen-address=127.0.0.1:9090 &
    until_up 9090
    for i in $(seq 12); do
        curl -s "http://127.0.0.1:9090/api/v1/query?query=up{"
        curl -s -XPOST http://127.0.0.1:9090/-/reload
        curl -s http://127.0.0.1:9100/metrics >"$logs/node-exporter-metrics.log"
        sleep 1
    done
    echo broken >/tmp/rules.yml
    curl -XPOST http://127.0.0.1:9090/-/reload
    kill %3
    sleep 2
}
run_collectd() {
    printf 'Hostname lab\nBaseDir /tmp\nPIDFile /tmp/c.pid\nInterval 1\nLoadPlugin logfile\n<Plugin logfile>\nLogLevel info\nFile STDOUT\nTimestamp true\n</Plugin>\nLoadPlugin csv\n<Plugin csv>\nDataDir stdout\n</Plugin>\nLoadPlugin cpu\nLoadPlugin memory\nLoadPlugin load\nLoadPlugin nosuch\n' >/tmp/collectd.conf
    timeout 20 collectd -f -C /tmp/collectd.conf
}
run_telegraf() {
    printf '[agent]\n interval="1s"\n debug=true\n[[inputs.cpu]]\n[[inputs.mem]]\n[[inputs.http]]\n urls=["http://127.0.0.1:9/"]\n[[outputs.file]]\n files=["stdout"]\n' >/tmp/telegraf.conf
    timeout 15 telegraf --config /tmp/telegraf.conf
}
has named && system named 120 run_named
has unbound && system unbound 60 run_unbound
has dnsmasq && system dnsmasq 60 run_dnsmasq
has knotd && system knot 60 run_knot
has nsd && system nsd 60 run_nsd
has pdns_recursor && system pdns 60 run_pdns
[ -x /usr/sbin/sshd ] && system sshd 120 run_sshd
has proftpd && system proftpd 90 run_proftpd
has vsftpd && system vsftpd 90 run_vsftpd
has smbd && system samba 90 run_samba
has chronyd && system chrony 40 run_chrony
has snmpd && system snmpd 60 run_snmpd
has tor && system tor 40 run_tor
has privoxy && system privoxy 60 run_privoxy
has stunnel && system stunnel 60 run_stunnel
has tcpdump && system tcpdump 40 run_tcpdump
has prometheus && system prometheus 60 run_prometheus
has collectd && system collectd 40 run_collectd
has telegraf && system telegraf 30 run_telegraf
