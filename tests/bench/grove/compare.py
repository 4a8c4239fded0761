"""Runs Grove and zoom-log-engine over the same simulated Zoom and the same faults, and prints what each made of it.

Standard library only; what it needs beside itself is in the README.
"""

import argparse
import collections
import gzip
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ACCOUNT, CLIENT, SECRET = "abc123", "cid", "zoom-secret"
REPORTS = {"operation": "/v2/report/operationlogs", "activity": "/v2/report/activities"}
HOUR, DAY = 3600, 86400
# Nothing has been asked of Zoom for so long: a poll, its retries included, is over.
QUIET = 5.0


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def started(command, env, pattern, log):
    """Starts a process, and returns it with what `pattern` finds in its output."""
    process = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = re.search(pattern, pathlib.Path(log.name).read_text(errors="replace"))
        if found:
            return process, found.group(1)
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise SystemExit(f"{command[0]} did not start: see {log.name}")


def ended(process):
    """Ends a process in order."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Zoom:
    """The simulator, with a clock that the scenario moves."""

    def __init__(self, program, port, directory):
        self.port = port
        environment = dict(os.environ, ZOOM_SIM_CLIENT_SECRET=SECRET)
        command = [program, "--listen", f"127.0.0.1:{port}", "--account-id", ACCOUNT, "--client-id", CLIENT]
        self.log = open(directory / "zoom.log", "w+")
        self.process, _ = started(command, environment, r"listening on (http\S+)", self.log)

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/_sim{path}", data, method=method)
        request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request) as answer:
            return answer.read()

    def set_clock(self, now):
        self.ask("PATCH", "/clock", {"set": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))})

    def generate(self, rows, span, seed):
        for report in REPORTS:
            bulk = {"rows": rows, "span_secs": span, "mix": {"seed": seed}}
            self.ask("POST", f"/accounts/{ACCOUNT}/{report}/generate", bulk)

    def row(self, at, name):
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
        rows = {
            "operation": {
                "time": when, "operator": "admin@example.com", "category_type": "User", "action": "Update",
                "operation_detail": name,
            },
            "activity": {
                "time": when, "email": f"{name}@example.com", "type": "Sign in", "ip_address": "192.0.2.1",
                "client_type": "Browser", "version": "-",
            },
        }
        for report, row in rows.items():
            self.ask("POST", f"/accounts/{ACCOUNT}/{report}/rows", {"rows": [{"row": row}]})

    def fault(self, on, times, fault):
        self.ask("POST", "/faults", {"on": on, "times": times, "fault": fault})

    def spend(self, requests):
        self.ask("POST", f"/accounts/{ACCOUNT}/spend", {"requests": requests})

    def requests(self):
        counted = json.loads(self.ask("GET", "/counters"))["counters"]["requests"]
        return sum(sum(by_status.values()) for path, by_status in counted.items() if path in REPORTS.values())

    def ledger(self):
        rows = collections.Counter()
        for report in REPORTS:
            for line in self.ask("GET", f"/accounts/{ACCOUNT}/{report}/rows").splitlines():
                rows[canonical(json.loads(line))] += 1
        return rows

    def end(self):
        ended(self.process)


def canonical(row):
    return json.dumps(row, sort_keys=True, separators=(",", ":"))


class Collector:
    """What both collectors have in common: a simulated Zoom, a time, and a way to it under TLS."""

    proxy = False

    def __init__(self, options, directory):
        self.options, self.directory = options, directory
        directory.mkdir()
        self.zoom = Zoom(options.simulator, free_port(), directory)
        # Noon of tomorrow, so that no scenario meets midnight by chance.
        self.now = (int(time.time()) // DAY + 1) * DAY + DAY // 2
        self.ahead = self.now - time.time()
        self.zoom.set_clock(self.now)
        self.peak_kib = 0
        command = [
            sys.executable, str(HERE / "front.py"), "--simulator", f"127.0.0.1:{self.zoom.port}",
            "--certificate", str(options.pki / "zoom.pem"), "--key", str(options.pki / "zoom.key"),
        ]
        self.front_log = open(directory / "front.log", "w+")
        more = ["--proxy"] if self.proxy else []
        self.front, self.front_port = started(command + more, os.environ, r"listening on (\d+)", self.front_log)

    def time(self):
        return time.time() + self.ahead

    def stop(self):
        """Ends what runs between polls."""

    def pass_time(self, seconds):
        self.ahead += seconds
        self.zoom.ask("PATCH", "/clock", {"advance_secs": seconds})

    def end(self):
        ended(self.front)
        self.zoom.end()


class Grove(Collector):
    """Grove as its own scheduler runs it: one process a poll, its state in its cache."""

    name, proxy = "Grove 2.2.0", True

    def __init__(self, options, directory):
        super().__init__(options, directory)
        for part in ("config", "cache", "out"):
            (directory / part).mkdir()
        for connector in ("zoom_operationlogs", "zoom_activities"):
            document = {
                "name": connector, "connector": connector, "identity": ACCOUNT, "key": SECRET,
                "client_id": CLIENT, "frequency": 0, "outputs": {"logs": "raw"},
            }
            (directory / "config" / f"{connector}.json").write_text(json.dumps(document))
        self.crashes = 0

    def poll(self):
        """Runs Grove once, and returns the seconds that it took."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "HTTPS_PROXY": f"http://127.0.0.1:{self.front_port}",
            "REQUESTS_CA_BUNDLE": str(self.options.pki / "ca.pem"),
            "GROVE_CONFIG_HANDLER": "local_file",
            "GROVE_CONFIG_LOCAL_FILE_PATH": str(self.directory / "config"),
            "GROVE_CACHE_HANDLER": "local_file",
            "GROVE_CACHE_LOCAL_FILE_PATH": str(self.directory / "cache"),
            "GROVE_OUTPUT_HANDLER": "local_file",
            "GROVE_OUTPUT_LOCAL_FILE_PATH": str(self.directory / "out"),
            "LD_PRELOAD": str(self.options.faketime),
            "FAKETIME": f"+{self.ahead:.3f}",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        # Its files are named by the second.
        time.sleep(1.1)
        began = time.monotonic()
        with open(self.directory / "grove.log", "a") as log:
            process = subprocess.Popen([self.options.grove], env=environment, stdout=log, stderr=log)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        self.crashes += process.returncode != 0
        self.peak_kib = max(self.peak_kib, usage.ru_maxrss)
        return time.monotonic() - began

    def delivered(self):
        rows = collections.Counter()
        for path in (self.directory / "out").rglob("*.json.gz"):
            for line in gzip.decompress(path.read_bytes()).splitlines():
                row = json.loads(line)
                row.pop("_grove", None)
                rows[canonical(row)] += 1
        return rows


class Engine(Collector):
    """Our engine with its default settings, but for where Zoom is and what time it is."""

    name = "zoom-log-engine"

    def __init__(self, options, directory):
        super().__init__(options, directory)
        self.process, self.source = None, None
        self.port = free_port()

    def start(self):
        prefix = "ZOOM_LOG_ENGINE__"
        url = f"https://localhost:{self.front_port}"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            f"{prefix}SERVER__LISTEN": f"127.0.0.1:{self.port}",
            f"{prefix}DATA_DIR": str(self.directory / "data"),
            f"{prefix}ZOOM__API_URL": url,
            f"{prefix}ZOOM__OAUTH_URL": url,
            f"{prefix}EGRESS__ALLOW_PRIVATE_ADDRESSES": "true",
            f"{prefix}EGRESS__CA_FILE": str(self.options.pki / "ca.pem"),
            f"{prefix}CLOCK__AHEAD": f"{int(self.ahead)}s",
        }
        self.log = open(self.directory / "engine.log", "a+")
        self.log.truncate(0)
        command = [self.options.engine, "serve"]
        self.process, _ = started(command, environment, r"listening on (http\S+)", self.log)

    def stop(self):
        if self.process is None:
            return
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        self.peak_kib = max(self.peak_kib, int(re.search(r"VmHWM:\s+(\d+)", status).group(1)))
        ended(self.process)
        self.process = None

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/v1{path}", data, method=method)
        request.add_header("authorization", "Bearer " + (self.directory / "data/admin-token").read_text().strip())
        request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read() or b"null")

    def begin(self):
        """Declares the source; its first poll follows at once."""
        lake = self.ask("POST", "/destinations", {"name": "lake", "file": {"path": "lake"}})["id"]
        spec = {
            "name": "Zoom", "account_id": ACCOUNT, "client_id": CLIENT, "client_secret": SECRET,
            "destination_ids": [lake], "poll_interval": "10m", "verify": False,
        }
        self.source = self.ask("POST", "/sources", spec)["id"]

    def poll(self):
        if self.process is None:
            # A source that has not been polled for long is due at the start.
            self.start()
            if self.source is None:
                self.begin()
        else:
            self.ask("POST", f"/sources/{self.source}/poll")
        self.rest()

    def rest(self):
        """Waits until a poll, its retries included, is over."""
        asked, since = self.zoom.requests(), time.monotonic()
        while time.monotonic() - since < QUIET:
            time.sleep(0.1)
            if (now := self.zoom.requests()) != asked:
                asked, since = now, time.monotonic()

    def pass_time(self, seconds):
        # The engine reads the distance of its clock when it starts, and polls by itself once it has: so it starts with
        # the next poll, and sees no more polls than the other.
        self.stop()
        super().pass_time(seconds)

    def delivered(self):
        rows = collections.Counter()
        path = self.directory / "data/out/lake"
        for line in path.read_bytes().splitlines() if path.exists() else ():
            row = json.loads(line)
            row.pop("zoom_log")
            rows[canonical(row)] += 1
        return rows

    def end(self):
        self.stop()
        super().end()


def later(collector, polls=3):
    """Further polls, an hour apart: whatever a collector makes good by itself, it has made good by now."""
    for _ in range(polls):
        collector.pass_time(HOUR)
        collector.poll()


def unchanged(collector):
    collector.zoom.generate(100, 10 * HOUR, 1)
    for _ in range(12):
        collector.poll()


def late_row(collector):
    collector.zoom.generate(12, 6 * HOUR, 2)
    collector.poll()
    collector.zoom.row(collector.time() - 3 * HOUR, "late")
    collector.zoom.row(collector.time(), "new")
    collector.poll()
    later(collector)


def twins(collector):
    collector.zoom.generate(12, 6 * HOUR, 3)
    second = collector.time()
    collector.zoom.row(second, "twin")
    collector.poll()
    collector.zoom.row(second, "twin")
    collector.poll()
    later(collector)


def catch_up(rows_before_the_retry, fault):
    def scenario(collector):
        collector.zoom.generate(20, 6 * HOUR, 4)
        collector.poll()
        collector.pass_time(4 * DAY)
        collector.zoom.generate(700, 4 * DAY - 7 * HOUR, 5)
        # Once for each report: whichever asks for its second page meets it.
        collector.zoom.fault("next_page_token=", 2, fault)
        collector.poll()
        for number in range(rows_before_the_retry):
            collector.zoom.row(collector.time(), f"before-the-retry-{number}")
        collector.poll()
        later(collector)

    return scenario


def used_up_day(collector):
    collector.zoom.generate(20, 6 * HOUR, 6)
    collector.poll()
    collector.zoom.spend(1_000_000)
    collector.zoom.row(collector.time(), "during-the-pause")
    collector.poll()
    collector.pass_time(DAY // 2 + 60)
    collector.zoom.row(collector.time(), "the-next-day")
    collector.poll()
    later(collector, 1)


SERVER_ERROR = {"kind": "respond", "status": 500, "body": "<html>"}
SCENARIOS = [
    ("unchanged data, 12 polls", unchanged),
    ("a late row, then 4 polls", late_row),
    ("a twin that comes a poll later", twins),
    ("4 days to catch up, page 2 fails once", catch_up(0, SERVER_ERROR)),
    ("the same, 5 new rows before the retry", catch_up(5, SERVER_ERROR)),
    ("the same, connection reset in page 2", catch_up(0, {"kind": "reset_body", "after_bytes": 700})),
    ("daily 429 with an ISO `Retry-After`", used_up_day),
]


def measure(kind, scenario, options, directory):
    collector = kind(options, directory)
    try:
        scenario(collector)
        owed, delivered = collector.zoom.ledger(), collector.delivered()
        lost, doubled = (owed - delivered).total(), (delivered - owed).total()
        crashes = getattr(collector, "crashes", 0)
        return owed.total(), lost, doubled, collector.zoom.requests(), crashes
    finally:
        collector.end()


def volume(kind, options, directory):
    """Rows a second and memory: one day's rows, read from nothing."""
    collector = kind(options, directory)
    try:
        collector.zoom.ask("PUT", f"/accounts/{ACCOUNT}", {"limits": {"per_second": 10**9, "per_day": 10**9}})
        collector.zoom.generate(options.rows, 11 * HOUR, 7)
        owed = 2 * options.rows
        if isinstance(collector, Engine):
            collector.start()
            began = time.monotonic()
            collector.begin()
            path = collector.directory / "data/out/lake"
            while (took := time.monotonic() - began) < 600:
                if path.exists() and path.read_bytes().count(b"\n") >= owed:
                    break
                time.sleep(0.02)
        else:
            took = collector.poll()
        requests = collector.zoom.requests()
        got = collector.delivered().total()
        collector.stop()
        return got, owed, requests, got / took, collector.peak_kib / 1024
    finally:
        collector.end()


def certificates(directory):
    """A private authority, and one certificate for every name that is asked for."""
    directory.mkdir()

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, cwd=directory, capture_output=True)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "3650",
            "-subj", "/CN=a private authority", "-addext", "basicConstraints=critical,CA:TRUE",
            "-addext", "keyUsage=critical,keyCertSign")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "zoom.key", "-out", "zoom.csr", "-subj", "/CN=zoom.us")
    (directory / "names").write_text(
        "subjectAltName=DNS:zoom.us,DNS:api.zoom.us,DNS:localhost\nextendedKeyUsage=serverAuth\n"
        "keyUsage=critical,digitalSignature,keyEncipherment\nbasicConstraints=CA:FALSE\n"
        "authorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n")
    openssl("x509", "-req", "-in", "zoom.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", "zoom.pem", "-days", "3650", "-extfile", "names")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--grove", required=True, type=pathlib.Path, help="the `grove` of a virtual environment")
    parser.add_argument("--faketime", required=True, type=pathlib.Path, help="libfaketimeMT.so.1")
    parser.add_argument("--engine", default="target/release/zoom-log-engine")
    parser.add_argument("--simulator", default="target/release/zoom-sim")
    parser.add_argument("--rows", type=int, default=20_000, help="rows a report, for speed and memory")
    parser.add_argument("--keep", type=pathlib.Path, help="where logs and outputs are kept")
    parser.add_argument("--only", help="part of a scenario's name; `volume` for speed and memory alone")
    options = parser.parse_args()
    root = options.keep or pathlib.Path(tempfile.mkdtemp(prefix="against-grove-"))
    root.mkdir(exist_ok=True)
    options.pki = root / "pki"
    if not options.pki.exists():
        certificates(options.pki)
    print("| scenario | rows owed | collector | lost | doubled | requests | runs that ended with an error |")
    print("|---|---|---|---|---|---|---|")
    for number, (name, scenario) in enumerate(SCENARIOS):
        if options.only and options.only not in name:
            continue
        for kind in (Grove, Engine):
            directory = root / f"{number}-{kind.__name__.lower()}"
            shutil.rmtree(directory, ignore_errors=True)
            owed, lost, doubled, requests, crashes = measure(kind, scenario, options, directory)
            print(f"| {name} | {owed} | {kind.name} | {lost} | {doubled} | {requests} | {crashes} |", flush=True)
    if options.only and options.only not in "volume":
        return
    print("\n| collector | rows | of | requests | rows a second | peak memory, MiB |")
    print("|---|---|---|---|---|---|")
    for kind in (Grove, Engine):
        directory = root / f"volume-{kind.__name__.lower()}"
        shutil.rmtree(directory, ignore_errors=True)
        got, owed, requests, speed, memory = volume(kind, options, directory)
        print(f"| {kind.name} | {got} | {owed} | {requests} | {speed:.0f} | {memory:.0f} |", flush=True)
    if not options.keep:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
