"""Scores documents with Ray Data. Each node runs one daemon, which its actors share.

import ray
from unroll_client.ray import Score

table = ray.data.read_json("crawl/*.jsonl").map_batches(
    Score, fn_constructor_kwargs={"text": "text"}, batch_size=256, concurrency=4
)
table.write_parquet("scores")
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy

from .events import Plugins
from .local import LocalDaemon
from .many import DOCUMENT_SCORE
from .sockets import StrPath


class Score:
    """For ray.data.Dataset.map_batches: adds the columns tokens, bytes, bits_per_byte and unroll_error to a batch.

    `text` names the column with the documents. With `plugins`, each other plugin adds a column of its name with its
    last output. The daemon is started with the node's first actor and ends with the last one; if it is killed, it is
    started again and the documents continue. Ray may then run a batch again, which gives the same values.
    """

    def __init__(
        self,
        text: str = "text",
        *,
        plugins: Plugins | None = None,
        model: StrPath | None = None,
        settings: Mapping[str, Any] = {},
        program: StrPath | None = None,
        in_flight: int = 64,
    ):
        self._text, self._plugins, self._in_flight = text, plugins, in_flight
        self._daemon = LocalDaemon.of_node(model=model, settings=settings, program=program)
        self._client = self._daemon.client()

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        plugins = self._plugins or DOCUMENT_SCORE
        texts = map(_text_of, batch[self._text])
        read = list(self._client.read_many(plugins, texts, in_flight=self._in_flight))
        scores = [one.outputs.get("score", {}).get("bits_per_byte") for one in read]
        added: dict[str, Any] = {
            "tokens": numpy.array([one.tokens for one in read], dtype=numpy.int64),
            "bytes": numpy.array([one.bytes for one in read], dtype=numpy.int64),
            "bits_per_byte": numpy.array(
                [numpy.nan if score is None else score for score in scores], dtype=numpy.float64
            ),
            "unroll_error": numpy.array([None if one.error is None else str(one.error) for one in read], dtype=object),
        }
        for plugin in sorted({name for one in read for name in one.outputs} - {"score"}):
            added[plugin] = numpy.array([one.outputs.get(plugin) for one in read], dtype=object)
        return {**batch, **added}


def _text_of(cell: Any) -> Any:
    """Columns of bytes have texts in UTF-8. A cell without a text, such as None, stays as it is and gets an error."""
    try:
        return cell.decode() if isinstance(cell, bytes) else cell
    except UnicodeDecodeError:
        return cell
