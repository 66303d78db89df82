"""Generates logs, each in a format of its own, to train a model to copy from its context."""

import collections
import json
import time


def zipf(rng, items):
    return rng.choices(items, [1 / (i + 1) for i in range(len(items))])[0]


def made_up(rng, words, kind=None):
    """One random value of a kind that occurs in logs."""

    def w():
        return rng.choice(words)

    def number():
        return str(rng.randrange(10 ** rng.randint(1, 9)))

    return {
        "word": w,
        "number": number,
        "camel": lambda: "".join(w().capitalize() for _ in range(rng.randint(2, 4))),
        "dotted": lambda: ".".join(
            [rng.choice(["org", "com", "net", "io", w()]), w(), w(), w().capitalize() + w().capitalize()]
        ),
        "path": lambda: (
            "/"
            + "/".join(w() for _ in range(rng.randint(2, 5)))
            + rng.choice(["", ".log", ".so", ".conf", ".tmp"])
        ),
        "hex": lambda: rng.choice(["", "0x"]) + f"{rng.getrandbits(rng.choice([16, 32, 64])):x}",
        "id": lambda: (
            rng.choice(["blk_-", "blk_", "id-", "req_", "job_", "task-", w() + "_"])
            + str(rng.getrandbits(62))
        ),
        "ip": lambda: (
            rng.choice(["", "/"])
            + ".".join(str(rng.randrange(256)) for _ in range(4))
            + rng.choice(["", f":{rng.randrange(65536)}"])
        ),
        "node": lambda: "-".join(
            f"{c}{rng.randrange(64):02d}" for c in rng.sample("ABCDEJMNRU", rng.randint(2, 4))
        ),
        "uuid": lambda: "-".join(f"{rng.getrandbits(4 * n):0{n}x}" for n in (8, 4, 4, 4, 12)),
        "float": lambda: f"{rng.uniform(0, 1000):.{rng.randint(1, 6)}f}",
        "time": lambda: number() + rng.choice(["ms", " ms", "s", "us"]),
        "snake": lambda: "_".join(w() for _ in range(rng.randint(2, 4))),
    }[kind or rng.choice(KINDS)]()


KINDS = "word number camel dotted path hex id ip node uuid float time snake number number ip".split()


def make_field(rng, words):
    """A function that returns the next value of a field, with randomly chosen behaviour."""
    kind, how = rng.choice(KINDS), rng.choice("constant pool pool counter fresh recent recent".split())
    if how == "counter":
        state, step = [rng.randrange(10 ** rng.randint(1, 8))], rng.choice([1, 1, 1, 2, 8, 64, 1024])

        def count():
            state[0] += step
            return str(state[0])

        return count
    if how == "fresh":
        return lambda: made_up(rng, words, kind)
    if how == "recent":
        seen, chance = collections.deque(maxlen=rng.randint(2, 24)), rng.uniform(0.5, 0.95)

        def recall():
            if not seen or rng.random() > chance:
                seen.append(made_up(rng, words, kind))
            return rng.choice(seen)

        return recall
    pool = [made_up(rng, words, kind) for _ in range(1 if how == "constant" else rng.randint(2, 40))]
    return lambda: zipf(rng, pool)


def make_template(rng, words, fields):
    """A message: literal words with fields between them, in the document's style."""
    style = rng.choice("prose prose prose keyed json".split())
    used = [rng.choice(fields) for _ in range(rng.choice([0, 1, 1, 2, 2, 3, 4, 6]))]
    if style != "prose":
        names, mark = [rng.choice(words) for _ in used], rng.choice(["=", ": ", '="'])
        head = " ".join(rng.choice(words) for _ in range(rng.randint(1, 4)))
        if style == "json":
            return lambda: json.dumps({"msg": head, **{n: f() for n, f in zip(names, used)}})
        return lambda: head + " " + " ".join(n + mark + f() + mark[1:].strip() for n, f in zip(names, used))
    pieces = [rng.choice(words) for _ in range(rng.randint(3, 14))]
    pieces[0] = rng.choice(
        [pieces[0].capitalize(), pieces[0], made_up(rng, words, "dotted") + ":", pieces[0].upper()]
    )
    for field in used:
        wrap = rng.choice(["{}", "{}", "{}", "[{}]", "'{}'", "({})", "{},", "<{}>"])
        pieces.insert(rng.randint(1, len(pieces)), (wrap, field))
    return lambda: " ".join(p if isinstance(p, str) else p[0].format(p[1]()) for p in pieces)


STAMPS = [
    "%b %e %H:%M:%S",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%dT%H:%M:%S.{us}+00:00",
    "%Y-%m-%d %H:%M:%S,{ms}",
    "%Y-%m-%d %H:%M:%S.{ms}",
    "[%d/%b/%Y:%H:%M:%S +0000]",
    "%y%m%d %H%M%S",
    "%y/%m/%d %H:%M:%S",
    "%m-%d %H:%M:%S.{ms}",
    "%H:%M:%S",
    "%Y/%m/%d %H:%M:%S",
    "%d.%m.%Y %H:%M:%S.{ms}",
    "[%a %b %d %H:%M:%S %Y]",
    "{epoch}",
    "{epoch}.{ms}",
    "[{up}.{us}]",
    "%m%d %H:%M:%S.{us}",
    "{up}",
    "- {epoch} %Y.%m.%d {host} %Y-%m-%d-%H.%M.%S.{us}",
    "%Y%m%d-%H:%M:%S:{ms}",
    "<{pri}>%b %d %H:%M:%S",
]
LAYOUTS = [
    "{ts} {host} {comp}[{pid}]: {msg}",
    "{ts} {level} {comp}: {msg}",
    "{ts} [{comp}] {level} {pid} - {msg}",
    "{ts} {pid} {level} {comp}: {msg}",
    "[{level}] {ts} {comp} {msg}",
    "{ts}|{level}|{comp}|{pid}|{msg}",
    "{level}{ts} {pid} {comp}] {msg}",
    "{ts} {host} {level} {comp} {msg}",
    "{ts} {msg}",
    "{ts},{level},{comp},{msg}",
    'ts="{ts}" level={level} logger={comp} {msg}',
    "{ts} - {comp} - {level} - {msg}",
    "{ts} {pid} {pid} {level} {comp}: {msg}",
    '{{"time": "{ts}", "level": "{level}", "logger": "{comp}", "message": "{msg}"}}',
    "{ts} {host} {comp} {level} {msg}",
    "{host} {ts} {comp}({pid}) {msg}",
]
LEVELS = [
    "INFO WARN ERROR DEBUG FATAL",
    "info warning err debug",
    "I W E D",
    "INFO WARNING SEVERE FINE",
    "notice info error crit",
    "TRACE INFO",
]


def synthetic_log(rng, words):
    """A log of a fictional program: 30 to 200 kB."""
    words = [rng.choice(words) for _ in range(rng.randint(60, 800))]
    words += [
        "".join(
            rng.choice("aeiou") if i % 2 else rng.choice("bcdfgklmnprstvz") for i in range(rng.randint(4, 8))
        )
        for _ in range(20)
    ]
    fields = [make_field(rng, words) for _ in range(rng.randint(4, 16))]
    size, stamp, layout = rng.randint(30_000, 200_000), rng.choice(STAMPS), rng.choice(LAYOUTS)
    comp_kind = rng.choice("word camel dotted snake".split())
    parts = [made_up(rng, words, comp_kind) for _ in range(rng.randint(1, 12))]
    levels = rng.choice(LEVELS).split()
    pids = [str(rng.randrange(1, 65536)) for _ in range(rng.randint(1, 8))]
    hosts = [
        made_up(rng, words, rng.choice(["word", "node", "ip"])) for _ in range(rng.choice([1, 1, 4, 64]))
    ]
    kinds = [
        (make_template(rng, words, fields), zipf(rng, parts), zipf(rng, levels))
        for _ in range(rng.randint(5, 60))
    ]
    follow = {i: [rng.randrange(len(kinds)) for _ in range(rng.randint(1, 3))] for i in range(len(kinds))}
    order, order_chance = list(range(len(kinds))), rng.uniform(0.2, 0.95)
    clock = start = rng.uniform(1.05e9, 1.78e9)
    pace, lines, kind, burst, odd = 10 ** rng.uniform(-3, 2), [], 0, 0, rng.choice([0, 0.0005, 0.002])
    while size > 0:
        clock += 0 if burst and rng.random() < 0.7 else rng.expovariate(1) * pace
        if burst:
            burst -= 1
        else:
            kind = rng.choice(follow[kind]) if rng.random() < order_chance else zipf(rng, order)
            burst = rng.randint(2, 40) if rng.random() < 0.01 else 0
        message, part, level = kinds[kind]
        text = (
            message()
            if rng.random() >= odd
            else " ".join(made_up(rng, words) for _ in range(rng.randint(3, 15)))
        )
        host = zipf(rng, hosts)
        when = stamp if "%" not in stamp else time.strftime(stamp, time.gmtime(clock))
        us = f"{int(clock % 1 * 1e6):06d}"
        when = (
            when.format(us=us, ms=us[:3], epoch=int(clock), up=int(clock - start), host=host, pri=14)
            if "{" in when
            else when
        )
        lines.append(layout.format(ts=when, host=host, comp=part, pid=zipf(rng, pids), level=level, msg=text))
        size -= len(lines[-1]) + 1
    return "\n".join(lines) + "\n"


def repetition(rng, words):
    """Word sequences that return with small changes."""
    words = [rng.choice(words) for _ in range(rng.randint(100, 3000))]
    blocks = [[rng.choice(words) for _ in range(rng.randint(5, 300))] for _ in range(rng.randint(1, 6))]
    size, parts, change, gap = (
        rng.randint(20_000, 100_000),
        [],
        rng.choice([0, 0.005, 0.03]),
        rng.choice(["\n", "\n\n", " ", " | "]),
    )
    while size > 0:
        block = rng.choice(blocks)
        for i in range(len(block)):
            if rng.random() < change:
                block[i] = rng.choice(words)
        parts.append(" ".join(block))
        size -= len(parts[-1]) + len(gap)
    return gap.join(parts) + "\n"
