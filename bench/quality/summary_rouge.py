#!/usr/bin/env python3
"""Compares `unroll summarize` and simple baselines with summaries written by people: ROUGE-1, -2 and -L.

    bench/quality/summary_rouge.py extract CHECKOUT FOLDER      # of python/peps or rust-lang/rfcs
    bench/quality/summary_rouge.py squality test.jsonl FOLDER   # of nyu-mll/SQuALITY, data/v1-3/txt
    bench/quality/summary_rouge.py ectsum CHECKOUT FOLDER       # of rajdeep345/ECTSum: earnings calls, test
    bench/quality/summary_rouge.py scisumm CHECKOUT FOLDER      # of WING-NUS/scisumm-corpus: papers, by people
    bench/quality/summary_rouge.py bbc "BBC News Summary" FOLDER  # news, extracts by people
    bench/quality/summary_rouge.py measure [--unroll build/bin/unroll] [--words 100] FOLDER [--model MODEL...]

`extract` takes documents with a summary by their author (a PEP's "Abstract", a Rust RFC's "Summary") of 60 to 250
words of prose from a checkout. The rest of the document, 10,000 to 60,000 bytes, becomes NAME.txt, the summary
NAME.reference. They are ordered by a hash of the name, so that `--count` takes a stable sample. `squality` takes the
stories, not indented, with their answers to "What is the plot of the story?", one per line. `measure` summarises
each NAME.txt in about that many words and prints F1 means (stemmed, PyPI rouge-score) as a table in Markdown. Of
several references the best counts, for each figure separately, as in SQuALITY's own scorer:

    lead       the first sentences
    random     sentences drawn from a seed
    lexrank, textrank  PyPI sumy's, if that is installed
    pacsum     centrality by TF-IDF, of which sentences after one count 1.3 and those before it -0.3 (Zheng & Lapata 2019)
    unroll     unroll summarize

All but the last choose from the same sentences: those of paragraphs of prose, split at .!? before a capital.
"""

import argparse
import hashlib
import html
import json
import random
import re
import subprocess
from collections import Counter
from pathlib import Path

PEP = re.compile(r"^Abstract\n=+\n(.*?)(?=^[^\n]+\n=+\n)", re.M | re.S)
RFC = re.compile(r"^#+ Summary\n(.*?)(?=^#+ [^\n]+\n)", re.M | re.S)


def extract(checkout, folder, count):
    files = [(file, PEP) for file in checkout.glob("**/pep-*.rst")] + [(file, RFC) for file in checkout.glob("text/*.md")]
    files.sort(key=lambda entry: hashlib.sha256(entry[0].name.encode()).digest())
    folder.mkdir(parents=True, exist_ok=True)
    taken = 0
    for file, pattern in files:
        text = file.read_text(errors="replace")
        found = pattern.search(text)
        if not found or taken == count:
            continue
        rest = text[: found.start()] + text[found.end() :]
        reference = " ".join(re.sub(r"^\[.*\]:.*$|[*`]", "", found[1], flags=re.M).split())
        if 60 <= len(reference.split()) <= 250 and 10_000 <= len(rest.encode()) <= 60_000:
            (folder / f"{file.stem}.txt").write_text(rest)
            (folder / f"{file.stem}.reference").write_text(reference + "\n")
            taken += 1
    print(f"{taken} documents in {folder}")


def squality(file, folder):
    folder.mkdir(parents=True, exist_ok=True)
    stories = [json.loads(line) for line in file.read_text().splitlines()]
    for story in stories:
        name = story["metadata"]["passage_id"]
        plot = next(question for question in story["questions"] if question["question_number"] == 1)
        references = [" ".join(response["response_text"].split()) for response in plot["responses"]]
        (folder / f"{name}.txt").write_text(re.sub(r"^[ \t]+", "", story["document"], flags=re.M))
        (folder / f"{name}.reference").write_text("\n".join(references) + "\n")
    print(f"{len(stories)} stories in {folder}")


def write_set(pairs, folder, count):
    """A sample of (name, text, reference), stable whatever the order."""
    folder.mkdir(parents=True, exist_ok=True)
    pairs = sorted(pairs, key=lambda pair: hashlib.sha256(pair[0].encode()).digest())[:count]
    for name, text, reference in pairs:
        (folder / f"{name}.txt").write_text(text + "\n")
        (folder / f"{name}.reference").write_text(" ".join(reference.split()) + "\n")
    print(f"{len(pairs)} documents in {folder}")


def ectsum(checkout):
    for file in (checkout / "data/final/test/ects").glob("*.txt"):
        yield file.stem, " ".join(file.read_text().split()), (file.parent.parent / "gt_summaries" / file.name).read_text()


def scisumm(checkout):
    for file in checkout.glob("data/Training-Set-2019/Task2/From-ScisummNet-2019/*/Reference_XML/*.xml"):
        summary = next((file.parent.parent / "summary").glob("*human*"), None)
        sections = re.findall(r"<SECTION[^>]*>(.*?)</SECTION>", file.read_text(errors="replace"), re.S)
        text = "\n\n".join(" ".join(re.findall(r"<S [^>]*>(.*?)</S>", section, re.S)) for section in sections)
        if summary and text:
            yield file.stem, html.unescape(text), summary.read_text(errors="replace")


def bbc(folder):
    for file in folder.glob("News Articles/*/*.txt"):
        headline, _, text = file.read_text(errors="replace").partition("\n\n")
        yield f"{file.parent.name}-{file.stem}", text, (folder / "Summaries" / file.parent.name / file.name).read_text(errors="replace")


def sentences_of(text):
    result = []
    for paragraph in re.split(r"\n\s*\n", text):
        if re.match(r"[^\W\d_]|[\"“]", paragraph) and paragraph.rstrip().rstrip("\"”")[-1:] in [".", "!", "?"]:
            result += re.split(r"(?:(?<=[.!?])|(?<=[.!?][\"”]))\s+(?=[A-Z\"“'(])", " ".join(paragraph.split()))
    return [sentence for sentence in result if 6 <= len(sentence.split()) <= 60]


def within(order, sentences, words):
    """Indices in `order` as long as they fit, sorted into document order."""
    chosen = []
    for i in order:
        length = len(sentences[i].split())
        if length <= words:
            chosen.append(i)
            words -= length
    return " ".join(sentences[i] for i in sorted(chosen))


def lexrank_order(sentences):
    from sumy.models.dom import ObjectDocumentModel, Paragraph, Sentence
    from sumy.nlp.stemmers import Stemmer
    from sumy.summarizers.lex_rank import LexRankSummarizer

    class Words:
        @staticmethod
        def to_words(text):
            return re.findall(r"\w+", text.lower())

    summarizer = LexRankSummarizer(Stemmer("english"))
    document = ObjectDocumentModel([Paragraph([Sentence(sentence, Words) for sentence in sentences])])
    summarizer._ensure_dependencies_installed()
    bags = [summarizer._to_words_set(sentence) for sentence in document.sentences]
    frequencies, inverse = summarizer._compute_tf(bags), summarizer._compute_idf(bags)
    matrix = summarizer._create_matrix(bags, summarizer.threshold, frequencies, inverse)
    scores = summarizer.power_method(matrix, summarizer.epsilon)
    return sorted(range(len(sentences)), key=lambda i: -scores[i])


def textrank_order(sentences):
    from sumy.models.dom import ObjectDocumentModel, Paragraph, Sentence
    from sumy.nlp.stemmers import Stemmer
    from sumy.summarizers.text_rank import TextRankSummarizer

    class Words:
        @staticmethod
        def to_words(text):
            return re.findall(r"\w+", text.lower())

    document = ObjectDocumentModel([Paragraph([Sentence(sentence, Words) for sentence in sentences])])
    ratings = TextRankSummarizer(Stemmer("english")).rate_sentences(document)
    return sorted(range(len(sentences)), key=lambda i: -ratings[document.sentences[i]])


def pacsum_order(sentences):
    import numpy

    bags = [Counter(re.findall(r"\w+", sentence.lower())) for sentence in sentences]
    having = Counter(word for bag in bags for word in bag)
    words = {word: i for i, word in enumerate(having)}
    matrix = numpy.zeros((len(bags), len(words)))
    for i, bag in enumerate(bags):
        for word, count in bag.items():
            matrix[i, words[word]] = count * numpy.log(len(bags) / having[word])
    matrix /= numpy.maximum(numpy.linalg.norm(matrix, axis=1, keepdims=True), 1e-9)
    alike = matrix @ matrix.T
    scores = 1.3 * numpy.triu(alike, 1).sum(1) - 0.3 * numpy.tril(alike, -1).sum(1)
    return sorted(range(len(sentences)), key=lambda i: -scores[i])


def unroll_summary(program, model, file, words):
    command = [program, "summarize", file, "--words", str(words), "--model", model, "--embedded", "--format", "json"]
    summary = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return " ".join(sentence["text"] for sentence in summary["sentences"])


def baselines(file, words):
    sentences = sentences_of(file.read_text())
    numbers = list(range(len(sentences)))
    result = {"lead": within(numbers, sentences, words)}
    shuffled = random.Random(file.name).sample(numbers, len(numbers))
    result["random"] = within(shuffled, sentences, words)
    try:
        result["lexrank"] = within(lexrank_order(sentences), sentences, words)
        result["textrank"] = within(textrank_order(sentences), sentences, words)
        result["pacsum"] = within(pacsum_order(sentences), sentences, words)
    except ImportError:
        pass
    return result


def rouge(references, summary):
    from rouge_score.rouge_scorer import RougeScorer

    kinds = ["rouge1", "rouge2", "rougeL"]
    scores = [RougeScorer(kinds, use_stemmer=True).score(reference, summary) for reference in references]
    return [max(score[kind].fmeasure for score in scores) for kind in kinds]


def measure(options):
    rows = {}
    # A document in which the baselines see no sentence, such as a table, compares nothing.
    files = [file for file in sorted(options.folder.glob("*.txt")) if sentences_of(file.read_text())]
    for file in files:
        summaries = baselines(file, options.words)
        for model in options.model:
            summaries[f"unroll, {Path(model).name}"] = unroll_summary(options.unroll, model, file, options.words)
        references = file.with_suffix(".reference").read_text().splitlines()
        for name, summary in summaries.items():
            rows.setdefault(name, []).append(rouge(references, summary))
    print(f"{len(files)} documents, {options.words} words\n\n| | ROUGE-1 | ROUGE-2 | ROUGE-L |\n|---|---|---|---|")
    for name, each in rows.items():
        print(f"| {name} | " + " | ".join(f"{sum(column) / len(each):.3f}" for column in zip(*each)) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    extracting = commands.add_parser("extract")
    extracting.add_argument("checkout", type=Path, metavar="CHECKOUT")
    extracting.add_argument("folder", type=Path, metavar="FOLDER")
    extracting.add_argument("--count", type=int, default=48)
    stories = commands.add_parser("squality")
    stories.add_argument("file", type=Path, metavar="FILE")
    stories.add_argument("folder", type=Path, metavar="FOLDER")
    for name in ("ectsum", "scisumm", "bbc"):
        adding = commands.add_parser(name)
        adding.add_argument("checkout", type=Path, metavar="CHECKOUT")
        adding.add_argument("folder", type=Path, metavar="FOLDER")
        adding.add_argument("--count", type=int, default=40)
    measuring = commands.add_parser("measure")
    measuring.add_argument("--unroll", default="build/bin/unroll", metavar="PROGRAM")
    measuring.add_argument("--model", nargs="+", default=["models/unroll-small"], metavar="MODEL")
    measuring.add_argument("--words", type=int, default=100)
    measuring.add_argument("folder", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    if options.command == "extract":
        extract(options.checkout, options.folder, options.count)
    elif options.command == "squality":
        squality(options.file, options.folder)
    elif options.command != "measure":
        write_set(globals()[options.command](options.checkout), options.folder, options.count)
    else:
        measure(options)


if __name__ == "__main__":
    main()
