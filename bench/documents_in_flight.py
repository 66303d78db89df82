#!/usr/bin/env python3
"""Many short documents through a daemon: documents per second, and bytes written per byte of text.

Starts a daemon with a journal of its own for each number of documents in flight, sends the documents over one
connection, and prints one line for each: `bench/documents_in_flight.py --documents 20000 --in-flight 1 64`.
With --repeat the numbers in flight alternate, and the last lines give the medians.
"""
import argparse
import json
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def texts(size, count):
    """Pieces of the repository's own prose, none twice as a whole: each begins with its number."""
    prose = "".join(file.read_text() for file in sorted((ROOT / "docs").glob("*.md")))
    for number in range(count):
        begin = number * 977 % (len(prose) - size)
        yield f"{number}: {prose[begin:begin + size]}".encode()[:size].decode(errors="ignore")


def written(pid):
    for line in pathlib.Path(f"/proc/{pid}/io").read_text().splitlines():
        if line.startswith("write_bytes:"):
            return int(line.split()[1])
    raise RuntimeError("the kernel does not count what a process writes")


def start(arguments, folder):
    config = folder / "config.json"
    config.write_text(json.dumps({"journal": {"keep_finished_hours": arguments.keep_finished_hours}}))
    path = folder / "socket"
    daemon = subprocess.Popen([arguments.unrolld, "--config", config, "--model", arguments.model, "--socket", path,
                               "--journal", folder / "journal", "--dtype", arguments.dtype, "--log-level", "error"])
    while True:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(path))
            connection.sendall(b'{"jsonrpc": "2.0", "id": 0, "method": "server.ping"}\n')
            connection.makefile().readline()
            return daemon, connection
        except OSError:
            if daemon.poll() is not None:
                sys.exit("the daemon has ended")
            time.sleep(0.05)


def run(connection, documents, in_flight):
    waiting = iter(documents)
    answers = connection.makefile("rb")

    def send():
        text = next(waiting, None)
        if text is not None:
            plugins = [{"name": "score", "options": {"granularity": "document"}}]
            request = {"jsonrpc": "2.0", "id": 1, "method": "document.open", "params": {"plugins": plugins, "text": text}}
            connection.sendall(json.dumps(request).encode() + b"\n")

    begin = time.monotonic()
    for _ in range(in_flight):
        send()
    done = 0
    while done < len(documents):
        answer = json.loads(answers.readline())
        if "error" in answer or answer.get("method") == "document.failed":
            sys.exit(f"a document failed: {answer}")
        if answer.get("method") == "document.done":
            done += 1
            send()
    return time.monotonic() - begin


def journal_bytes(folder):
    return sum(file.stat().st_size for file in folder.glob("journal*"))


def measure(arguments, in_flight):
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = pathlib.Path(name)
        daemon, connection = start(arguments, folder)
        try:
            run(connection, list(texts(arguments.bytes, 4)), 4)  # workers start, caches fill
            documents = list(texts(arguments.bytes, arguments.documents))
            size = sum(len(text.encode()) for text in documents)
            before = written(daemon.pid)
            seconds = run(connection, documents, in_flight)
            rate, ratio = len(documents) / seconds, (written(daemon.pid) - before) / size
            print(f"{in_flight} in flight: {len(documents)} documents of {arguments.bytes} bytes, {rate:.1f} documents/s, "
                  f"{ratio:.2f} bytes written per byte of text, journal {journal_bytes(folder) / 1e6:.1f} MB", flush=True)
            return rate, ratio
        finally:
            daemon.terminate()
            daemon.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unrolld", default=ROOT / "build/bin/unrolld")
    parser.add_argument("--model", default=ROOT / "models/unroll-small")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--documents", type=int, default=2000)
    parser.add_argument("--bytes", type=int, default=2048)
    parser.add_argument("--in-flight", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--keep-finished-hours", type=int, default=24)
    parser.add_argument("--folder", help="where the journals lie; a real disk, not tmpfs")
    arguments = parser.parse_args()
    results = {in_flight: [] for in_flight in arguments.in_flight}
    for _ in range(arguments.repeat):
        for in_flight in arguments.in_flight:
            results[in_flight].append(measure(arguments, in_flight))
    for in_flight, runs in results.items():
        rates, ratios = zip(*runs)
        print(f"median of {len(runs)}, {in_flight} in flight: {statistics.median(rates):.1f} documents/s, "
              f"{statistics.median(ratios):.2f} bytes written per byte of text")


if __name__ == "__main__":
    main()
