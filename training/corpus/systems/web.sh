# Web servers, proxies and application servers. Sourced by all.sh.
run_nginx() {
    cat >/tmp/nginx.conf <<EOF
error_log $logs/nginx-error.log info; pid /run/nginx.pid; events {}
http { access_log $logs/nginx-access.log combined; limit_req_zone \$binary_remote_addr zone=z:1m rate=40r/s;
server { listen 8080; root /srv/www; limit_req zone=z burst=5;
location /api { proxy_pass http://127.0.0.1:9; } location /admin { deny all; } } }
EOF
    nginx -c /tmp/nginx.conf
    until_up 8080
    web_load http://127.0.0.1:8080 3600
    ab -n 800 -c 8 http://127.0.0.1:8080/index.html
    nginx -c /tmp/nginx.conf -s reload
    nginx -c /tmp/nginx.conf -s quit
    echo 'http { broken' >/tmp/bad.conf
    nginx -c /tmp/bad.conf
}
run_apache2() {
    cat >/tmp/apache.conf <<EOF
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
ServerName localhost
Listen 8081
PidFile /run/apache2.pid
User www-data
Group www-data
DocumentRoot /srv/www
ErrorLog $logs/apache2-error.log
LogLevel debug
LogFormat "%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\" %D" timed
CustomLog $logs/apache2-access.log timed
ProxyPass /api http://127.0.0.1:9
<Location /admin>
Require all denied
</Location>
EOF
    apache2 -f /tmp/apache.conf
    until_up 8081
    web_load http://127.0.0.1:8081 2800
    apache2 -f /tmp/apache.conf -k graceful
    sleep 2
    apache2 -f /tmp/apache.conf -k stop
}
run_lighttpd() {
    printf 'server.document-root="/srv/www"\nserver.port=8082\nserver.modules=("mod_accesslog","mod_access")\naccesslog.filename="%s"\nserver.errorlog="%s"\ndebug.log-request-handling="enable"\nurl.access-deny=(".env")\n' \
        "$logs/lighttpd-access.log" "$logs/lighttpd-error.log" >/tmp/lighttpd.conf
    lighttpd -f /tmp/lighttpd.conf
    until_up 8082
    web_load http://127.0.0.1:8082 1000
}
run_haproxy() {
    python3 -m http.server 8091 -d /srv/www --bind 127.0.0.1 2>"$logs/python-http.server.log" &
    cat >/tmp/haproxy.cfg <<EOF
global
  log stdout format rfc5424 local0 debug
defaults
  mode http
  log global
  option httplog
  timeout connect 1s
  timeout client 5s
  timeout server 3s
frontend in
  bind 127.0.0.1:8083
  default_backend pool
backend pool
  balance roundrobin
  option httpchk GET /
  server a 127.0.0.1:8091 check inter 2s
  server b 127.0.0.1:9 check inter 2s
EOF
    haproxy -f /tmp/haproxy.cfg -db &
    until_up 8083
    web_load http://127.0.0.1:8083 2800
}
run_squid() {
    printf 'http_port 127.0.0.1:3128\naccess_log stdio:%s\ncache_log %s\ncache_store_log stdio:%s\npid_filename none\nacl bad url_regex admin\nhttp_access deny bad\nhttp_access allow all\ndebug_options ALL,1 11,2\n' \
        "$logs/squid-access.log" "$logs/squid-cache.log" "$logs/squid-store.log" >/tmp/squid.conf
    chmod 777 "$logs"
    squid -N -f /tmp/squid.conf &
    until_up 3128
    web_load http://127.0.0.1:8091 1600 http://127.0.0.1:3128
    web_load http://nowhere.invalid 60 http://127.0.0.1:3128
    pkill -TERM -x squid
}
run_varnish() {
    varnishd -F -a 127.0.0.1:8084 -b 127.0.0.1:8091 -n /tmp/varnish -s malloc,20m &
    until_up 8084
    (
        sleep 1
        exec varnishncsa -n /tmp/varnish
    ) >"$logs/varnish-ncsa.log" &
    (
        sleep 1
        exec varnishlog -n /tmp/varnish
    ) >"$logs/varnish-log.log" &
    sleep 2
    web_load http://127.0.0.1:8084 800
    pkill varnish
}
run_tinyproxy() {
    printf 'Port 8888\nListen 127.0.0.1\nTimeout 5\nLogLevel Info\nAllow 127.0.0.1\nMaxClients 20\n' >/tmp/tiny.conf
    tinyproxy -d -c /tmp/tiny.conf &
    until_up 8888
    web_load http://127.0.0.1:8091 480 http://127.0.0.1:8888
    web_load http://nowhere.invalid 20 http://127.0.0.1:8888
    kill %1
}
run_gunicorn() {
    mkdir -p /tmp/app
    cat >/tmp/app/app.py <<'EOF'
import logging, random, time
from flask import Flask, abort, request
logging.basicConfig(level=logging.DEBUG, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
app = Flask(__name__); log = logging.getLogger("shop.orders")
@app.route("/")
def index(): log.info("index for %s", request.user_agent); return "hello"
@app.route("/api/v1/users/<int:n>")
def user(n):
    log.debug("loading user %d", n)
    if random.random() < 0.2: raise KeyError(f"user {n}")
    if random.random() < 0.1: log.warning("user %d: slow query, %.0f ms", n, random.random() * 900)
    return {"id": n}
@app.route("/admin")
def admin(): log.error("forbidden: %s", request.remote_addr); abort(403)
@app.route("/search")
def search(): return str(1 / (len(request.args.get("page", "")) - 1))
EOF
    cd /tmp/app
    gunicorn -w 2 -b 127.0.0.1:8085 --access-logfile - --log-level debug app:app &
    until_up 8085
    web_load http://127.0.0.1:8085 2000
    pkill -HUP -o gunicorn
    sleep 2
    pkill -TERM -o gunicorn
    sleep 2
    flask --app app run --port 8086 >"$logs/flask-development.log" 2>&1 &
    until_up 8086
    web_load http://127.0.0.1:8086 1000
}
run_django() {
    cd /tmp
    rm -rf shop
    django-admin startproject shop
    cd shop
    python3 manage.py startapp store
    sed -i "s/INSTALLED_APPS = \[/INSTALLED_APPS = ['store',/" shop/settings.py
    printf 'from django.db import models\nclass Item(models.Model):\n    name = models.CharField(max_length=80)\n    price = models.IntegerField()\n' >store/models.py
    python3 manage.py makemigrations -v 3
    python3 manage.py migrate -v 2
    python3 manage.py check --deploy
    python3 manage.py sqlmigrate auth 0001
    python3 manage.py runserver 8087 >"$logs/django-server.log" 2>&1 &
    until_up 8087
    web_load http://127.0.0.1:8087 800
    kill %1
    python3 manage.py test -v 2
    python3 manage.py nonsense
    python3 manage.py shell -c 'from store.models import Item; Item.objects.get(id=3)'
}
run_tomcat() {
    export CATALINA_BASE=/tmp/tomcat
    mkdir -p $CATALINA_BASE/{conf,logs,webapps/ROOT,temp,work}
    cp -r /etc/tomcat10/* $CATALINA_BASE/conf/
    cp /srv/www/index.html $CATALINA_BASE/webapps/ROOT/
    cp -r $CATALINA_BASE/webapps/ROOT $CATALINA_BASE/webapps/broken
    mkdir -p $CATALINA_BASE/webapps/broken/WEB-INF
    echo '<web-app><oops>' >$CATALINA_BASE/webapps/broken/WEB-INF/web.xml
    /usr/share/tomcat10/bin/catalina.sh run &
    until_up 8080
    web_load http://127.0.0.1:8080 1200
    /usr/share/tomcat10/bin/catalina.sh stop
    sleep 3
    cat $CATALINA_BASE/logs/*access* >"$logs/tomcat-access.log"
    cat $CATALINA_BASE/logs/catalina*.log $CATALINA_BASE/logs/localhost.*.log >"$logs/tomcat-catalina.log"
}
run_uwsgi() {
    printf 'def application(e, s):\n    s("200 OK", []); return [str(1 / len(e["QUERY_STRING"])).encode()]\n' >/tmp/w.py
    uwsgi --plugin python3 --http-socket 127.0.0.1:8088 --wsgi-file /tmp/w.py --master --processes 2 --stats /tmp/st.sock &
    until_up 8088
    web_load http://127.0.0.1:8088 800
    pkill -INT uwsgi
}
has nginx && system nginx 90 run_nginx
has apache2 && system apache2 90 run_apache2
has lighttpd && system lighttpd 40 run_lighttpd
has haproxy && system haproxy 80 run_haproxy
has python3 && { python3 -m http.server 8091 -d /srv/www --bind 127.0.0.1 >/dev/null 2>&1 & }
has squid && system squid 90 run_squid
has varnishd && system varnish 60 run_varnish
has tinyproxy && system tinyproxy 60 run_tinyproxy
has gunicorn && system gunicorn 90 run_gunicorn
has django-admin && system django 90 run_django
has uwsgi && system uwsgi 40 run_uwsgi
[ -e /usr/share/tomcat10/bin/catalina.sh ] && system tomcat 120 run_tomcat
