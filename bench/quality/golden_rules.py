#!/usr/bin/env python3
"""The golden rules of pragmatic-segmenter against `unroll score --granularity sentence --language CODE`.

    bench/quality/golden_rules.py [--unroll build/bin/unroll] [--model FOLDER] [--show] CHECKOUT

CHECKOUT is one of github.com/diasks2/pragmatic_segmenter. For each language with golden rules it prints how many give
exactly the sentences that the rule expects (white space aside), and the total. --detect leaves --language out.
A small model is enough: sentences do not depend on it.
"""

import argparse
import ast
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

RULE = re.compile(r'^    it "(.*?)" do$(.*?)^    end$', re.M | re.S)


def string(literal):
    """The value of a Ruby string, in one kind of quotation marks or the other."""
    if literal[0] == "'":
        return re.sub(r"\\(['\\])", r"\1", literal[1:-1])
    return ast.literal_eval(literal)


def rules_of(spec):
    """(name, text, expected sentences, language) of each golden rule."""
    golden = spec.read_text(encoding="utf-8").partition('context "Golden Rules" do')[2].partition("\n  end\n")[0]
    quoted = r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\''
    for name, body in RULE.findall(golden):
        text = re.search(rf"text: ({quoted})", body)[1]
        language = re.search(r"language: [\"'](\w+)", body)[1]
        expected = re.findall(quoted, re.search(r"to eq\(\[(.*)\]\)", body)[1])
        yield name, string(text), [string(sentence) for sentence in expected], language


def sentences_of(arguments, text, language):
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        command = [arguments.unroll, "score", file.name, "--raw", "--embedded", "--granularity", "sentence", "--format", "ndjson"]
        command += ["--model", arguments.model] + ([] if arguments.detect else ["--language", language])
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    data = text.encode()
    found = [json.loads(line) for line in lines]
    return ["".join(data[each["start"] : each["end"]].decode().split()) for each in found if each["type"] == "sentence"]


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("checkout", type=Path)
    options.add_argument("--unroll", default="build/bin/unroll")
    options.add_argument("--model", default="models/unroll-small")
    options.add_argument("--show", action="store_true", help="print the rules that fail")
    options.add_argument("--detect", action="store_true", help="let the language be detected")
    options.add_argument("--languages", help="codes, separated by commas; else all")
    arguments = options.parse_args()
    passed = total = 0
    for spec in sorted((arguments.checkout / "spec/pragmatic_segmenter/languages").glob("*_spec.rb")):
        rules = list(rules_of(spec))
        if not rules or (arguments.languages and rules[0][3] not in arguments.languages.split(",")):
            continue
        good = 0
        for name, text, expected, language in rules:
            found = sentences_of(arguments, text, language)
            right = found == ["".join(sentence.split()) for sentence in expected]
            good += right
            if arguments.show and not right:
                print(f"  {language} {name}\n    expected {expected}\n    found    {found}", file=sys.stderr)
        print(f"{rules[0][3]}  {good:3} of {len(rules):3}", flush=True)
        passed += good
        total += len(rules)
    print(f"all {passed:3} of {total:3}: {100 * passed / total:.1f} %")


if __name__ == "__main__":
    main()
