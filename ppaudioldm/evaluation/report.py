"""Results of an evaluation as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ppaudioldm.evaluation import kinds
from ppaudioldm.evaluation.kinds import RecognisedClip


def measures_table(measures: Mapping[str, float]) -> str:
    """Measures by name as a table."""
    rows = [(name.replace("_", " "), _number(value)) for name, value in measures.items()]
    return _table(("measure", "value"), rows)


def kinds_report(stages: Mapping[str, Sequence[RecognisedClip]], variety: Mapping[str, Mapping[str, float]]) -> str:
    """Accuracy by kind and stage, further checks, variety, and the confusion matrix of the last stage.

    stages: name of `pipeline_stages` -> its clips. variety: the same names -> `kinds.variety`.
    """
    names = list(stages)
    by_stage = {name: kinds.accuracy_by_kind(clips) for name, clips in stages.items()}
    requested = list(next(iter(by_stage.values())))
    per_kind = len(next(iter(stages.values()))) // len(requested)
    rows: list[Sequence[str]] = [(kind, *(_percent(by_stage[name][kind]) for name in names)) for kind in requested]
    rows.append(("**all**", *(f"**{_percent(_mean(by_stage[name].values()))}**" for name in names)))
    blocks = [f"Recognition accuracy, {per_kind} clips a kind:", _table(("kind", *names), rows)]

    by_check = {name: kinds.accuracy_by_check(clips) for name, clips in stages.items()}
    if checks := list(by_check[names[-1]]):
        checked = [(check, *(_percent(by_check[name][check]) for name in names)) for check in checks]
        blocks += ["As requested, among the clips whose caption requests it:", _table(("", *names), checked)]
    if variety:
        values = [
            (key.replace("_", " "), *(_number(variety[name].get(key)) for name in variety)) for key in _keys(variety)
        ]
        blocks += ["Variety:", _table(("", *variety), values)]
    blocks.append(f"Confusion matrix of {names[-1]}: a row for each requested kind, a column for each recognised one:")
    blocks.append(confusion_table(stages[names[-1]]))
    return "\n\n".join(blocks) + "\n"


def confusion_table(clips: Sequence[RecognisedClip]) -> str:
    """A row for each requested kind, a column for each recognised one; zeros are left out."""
    matrix = kinds.confusions(clips)
    recognised = {name for row in matrix.values() for name in row}
    columns = [kind for kind in matrix if kind in recognised] + sorted(recognised - set(matrix))
    rows = [(f"**{kind}**", *(str(row.get(name, "")) for name in columns)) for kind, row in matrix.items()]
    return _table(("", *columns), rows)


def _keys(variety: Mapping[str, Mapping[str, float]]) -> list[str]:
    return list(dict.fromkeys(key for values in variety.values() for key in values))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers)


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.4g}"
