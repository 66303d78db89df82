"""Results of the built-in plugins, and the daemon's information about itself.

docs/protocol.md describes each field. Unknown fields of a later daemon are ignored; unknown outputs of a later
plugin become Other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar, Union

Result = TypeVar("Result", bound="_FromJson")


class _FromJson:
    @classmethod
    def from_json(cls: type[Result], value: Mapping[str, Any]) -> Result:
        names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        return cls(**{name: value[name] for name in names if name in value})


@dataclass(frozen=True, slots=True)
class Other:
    """An output that this version of the client does not know."""

    data: Any


@dataclass(frozen=True, slots=True)
class PartScore(_FromJson):
    """The score of a line, sentence or paragraph, which begins in line `line`."""

    line: int
    start: int
    end: int
    tokens: int
    nats: float
    bits_per_byte: float
    type: str = ""
    text: str | None = None  # of the most surprising ones, cut to the width of a screen
    start_char: int | None = None
    end_char: int | None = None


@dataclass(frozen=True, slots=True)
class TokenScores(_FromJson):
    """The scores of a block's tokens, with granularity `token`."""

    start: Sequence[int]
    end: Sequence[int]
    nats: Sequence[float]
    start_char: Sequence[int] = ()
    end_char: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class DocumentScore(_FromJson):
    """The last result. `surprising`: the parts with the highest bits_per_byte. perplexity is None for an empty
    document."""

    tokens: int
    bytes: int
    nats: float
    bits_per_byte: float | None = None
    perplexity: float | None = None
    surprising: Sequence[PartScore] = ()


ScoreResult = Union[PartScore, TokenScores, DocumentScore, Other]


@dataclass(frozen=True, slots=True)
class LineAnomaly(_FromJson):
    line: int
    start: int
    end: int
    score: float
    alert: bool = False
    text: str | None = None  # of the most unusual ones, cut to the width of a screen


@dataclass(frozen=True, slots=True)
class WindowAnomaly(_FromJson):
    """The most unusual of every `top_window` lines."""

    first_line: int
    last_line: int
    top: Sequence[LineAnomaly] = ()


@dataclass(frozen=True, slots=True)
class SessionAnomaly(_FromJson):
    session: str
    lines: int
    first_line: int
    last_line: int
    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class DocumentAnomaly(_FromJson):
    """The last result. `alerts` and `sessions` are set if they were asked for."""

    lines: int
    top: Sequence[LineAnomaly] = ()
    alerts: int | None = None
    sessions: int | None = None
    top_sessions: Sequence[SessionAnomaly] = ()


AnomalyResult = Union[LineAnomaly, WindowAnomaly, SessionAnomaly, DocumentAnomaly, Other]


@dataclass(frozen=True, slots=True)
class Sentence(_FromJson):
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class RunningSummary(_FromJson):
    """The summary up to byte `end`, with the option `every`."""

    end: int
    words: int
    sentences: Sequence[Sentence] = ()


@dataclass(frozen=True, slots=True)
class Summary(_FromJson):
    words: int
    sentences: Sequence[Sentence] = ()

    @property
    def text(self) -> str:
        return " ".join(sentence.text for sentence in self.sentences)


SummaryResult = Union[RunningSummary, Summary, Other]


@dataclass(frozen=True, slots=True)
class SegmentVector(_FromJson):
    start: int
    end: int
    vector: Sequence[float]


@dataclass(frozen=True, slots=True)
class DocumentVector(_FromJson):
    """The last result."""

    dim: int
    vector: Sequence[float]


EmbedResult = Union[SegmentVector, DocumentVector, Other]


@dataclass(frozen=True, slots=True)
class ModelInfo(_FromJson):
    name: str
    checkpoint: str
    parameters: int
    device: str
    dtype: str
    num_tokens: int = 0
    dim: int = 0
    depth: int = 0
    block_width: int = 0
    state_bytes: int = 0
    form: str = ""
    form_problem: str = ""


@dataclass(frozen=True, slots=True)
class ServedModel(_FromJson):
    """One that documents can ask for. `bytes`: the memory of its weights; `documents`: the number of open ones."""

    name: str
    family: str
    parameters: int
    loaded: bool
    bytes: int
    documents: int


@dataclass(frozen=True, slots=True)
class PluginInfo(_FromJson):
    name: str
    version: str
    description: str


@dataclass(frozen=True, slots=True)
class Snapshot(_FromJson):
    """What reading a document left. `bytes` were read, `sha256` is of them; times are seconds since 1970."""

    name: str
    model: str
    checkpoint: str
    bytes: int
    sha256: str
    created: int
    kept_bytes: int
    plugins: Sequence[Mapping[str, Any]] = ()
    expires: int | None = None


@dataclass(frozen=True, slots=True)
class ServerInfo(_FromJson):
    version: str
    protocol: int
    pid: int
    model: ModelInfo
    plugins: Sequence[PluginInfo]
    limits: Mapping[str, int]
    models: Sequence[ServedModel] = ()  # the first one is the default

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ServerInfo:
        model = ModelInfo.from_json(value["model"])
        plugins = [PluginInfo.from_json(plugin) for plugin in value["plugins"]]
        models = [ServedModel.from_json(served) for served in value.get("models", ())]
        return cls(value["version"], value["protocol"], value["pid"], model, plugins, value["limits"], models)


def score(data: Mapping[str, Any]) -> ScoreResult:
    kind = data.get("type")
    if kind == "document":
        return DocumentScore.from_json({**data, "surprising": _each(PartScore, data, "surprising")})
    if kind == "tokens":
        return TokenScores.from_json(data)
    return PartScore.from_json(data) if kind in ("paragraph", "sentence", "line") else Other(data)


def anomaly(data: Mapping[str, Any]) -> AnomalyResult:
    kind = data.get("type", "line")
    top = {"top": _each(LineAnomaly, data, "top")}
    if kind == "document":
        sessions = {"top_sessions": _each(SessionAnomaly, data, "top_sessions")}
        return DocumentAnomaly.from_json({**data, **top, **sessions})
    if kind == "window":
        return WindowAnomaly.from_json({**data, **top})
    if kind == "session":
        return SessionAnomaly.from_json(data)
    return LineAnomaly.from_json(data) if kind == "line" else Other(data)


def summary(data: Mapping[str, Any]) -> SummaryResult:
    sentences = {"sentences": _each(Sentence, data, "sentences")}
    if data.get("type") == "running":
        return RunningSummary.from_json({**data, **sentences})
    return Summary.from_json({**data, **sentences}) if data.get("type") == "summary" else Other(data)


def embedding(data: Mapping[str, Any]) -> EmbedResult:
    if data.get("type") == "document":
        return DocumentVector.from_json(data)
    return SegmentVector.from_json(data) if data.get("type") == "segment" else Other(data)


def _each(kind: type[Result], data: Mapping[str, Any], key: str) -> Sequence[Result]:
    return tuple(kind.from_json(one) for one in data.get(key) or ())
