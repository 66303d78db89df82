"""Sends a web server typical requests: good ones, missing pages, scanners, malformed ones. Usage: load.py URL
REQUESTS [PROXY]"""

import http.client
import random
import socket
import sys
from urllib.parse import urlsplit

PATHS = (
    """/ /index.html /a.txt /b/c/d /admin /login.php /search?q=caf%C3%A9&page=2 /images/logo.png /robots.txt
/wp-login.php /.env /../../etc/passwd /favicon.ico /api/v1/users/17 /index.html?utm_source=mail /big.bin
/cgi-bin/test.cgi /download/report-2023.pdf /static/js/app.3f2a.js /api/v1/users/{n} /search?q={n} /posts/{n}
/feed.xml /%2e%2e/%2e%2e/etc/shadow /phpmyadmin/index.php /sitemap.xml /users/{n}/orders?sort=-date""".split()
)
AGENTS = """Mozilla/5.0 (X11; Linux x86_64; rv:102.0) Gecko/20100101 Firefox/102.0
Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/114.0.0.0 Safari/537.36
Mozilla/5.0 (iPhone; CPU iPhone OS 16_5 like Mac OS X) AppleWebKit/605.1.15 Version/16.5 Mobile/15E148 Safari/604.1
curl/7.88.1
sqlmap/1.7.2#stable (https://sqlmap.org)
Googlebot/2.1 (+http://www.google.com/bot.html)
python-requests/2.28.1
Wget/1.21.3
-""".splitlines()


def main():
    url, count, proxy = sys.argv[1], int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None
    target, rng = urlsplit(url), random.Random()
    host = urlsplit(proxy) if proxy else target
    for i in range(count):
        try:
            if i % 60 == 59:
                with socket.create_connection((host.hostname, host.port), 3) as broken:
                    broken.sendall(
                        rng.choice([b"GARBAGE\r\n\r\n", b"\x16\x03\x01\x02\x00", b"GET / HTTP/9.9\r\n\r\n"])
                    )
                    broken.settimeout(1)
                    broken.recv(2000)
                continue
            connection = http.client.HTTPConnection(host.hostname, host.port, timeout=5)
            path = rng.choice(PATHS).format(n=rng.randint(1, 300))
            method = rng.choices(["GET", "POST", "HEAD", "PUT", "DELETE"], [80, 10, 5, 2, 1])[0]
            headers = {"User-Agent": rng.choice(AGENTS), "Host": target.netloc}
            if rng.random() < 0.6:
                headers["Referer"] = f"{url}/page{rng.randint(1, 40)}"
            connection.request(
                method, url + path if proxy else path, "x=1" if method == "POST" else None, headers
            )
            connection.getresponse().read()
            connection.close()
        except (OSError, http.client.HTTPException):
            pass


main()
