"""The soak's clients against the installed service, for some seconds: `gang` is every kind of hostile client, `ping` a
user who only pings. Exit code 1 if the service does what it should not."""

import sys
import time

sys.path.insert(0, "/check/soak")

from hostile import Gang  # noqa: E402
from pinger import Pinger  # noqa: E402

SOCKET = "/run/unroll/unroll.sock"
MOST_P99 = 0.1  # seconds


def run_gang(seconds: float) -> bool:
    gang = Gang(SOCKET, 1, "zqghjk", "/tmp", 1)
    time.sleep(seconds)
    failures = gang.stop()
    print(gang.connections)
    print(*failures, sep="\n")
    return not failures


def run_pings(seconds: float) -> bool:
    pinger = Pinger(SOCKET)
    time.sleep(seconds)
    times = pinger.stop()
    p50, p99 = (times[int(len(times) * share)] for share in (0.5, 0.99))
    print(f"figure: {len(times)} pings, p50 {p50 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms, most {times[-1] * 1000:.0f} ms")
    return p99 <= MOST_P99


if __name__ == "__main__":
    role = {"gang": run_gang, "ping": run_pings}[sys.argv[1]]
    sys.exit(0 if role(float(sys.argv[2])) else 1)
