"""What an evaluation found, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ppaudioldm.evaluation import kinds
from ppaudioldm.evaluation.kinds import Judged


def measures_table(found: Mapping[str, float]) -> str:
    """Measures by name as a table."""
    rows = [(name.replace("_", " "), _number(value)) for name, value in found.items()]
    return _table(("measure", "value"), rows)


def kinds_report(stages: Mapping[str, Sequence[Judged]], variety: Mapping[str, Mapping[str, float]]) -> str:
    """Accuracy by kind and stage, what else was measured, variety, and the confusions of the last stage.

    stages: what clips went through -> the clips. variety: the same names -> `kinds.variety`.
    """
    names = list(stages)
    by_stage = {name: kinds.accuracies(clips) for name, clips in stages.items()}
    asked = list(next(iter(by_stage.values())))
    per_kind = len(next(iter(stages.values()))) // len(asked)
    rows: list[Sequence[str]] = [(kind, *(_percent(by_stage[name][kind]) for name in names)) for kind in asked]
    rows.append(("**all**", *(f"**{_percent(_mean(by_stage[name].values()))}**" for name in names)))
    parts = [f"Recognised, of {per_kind} clips a kind:", _table(("kind", *names), rows)]

    measured = {name: kinds.checks(clips) for name, clips in stages.items()}
    if what := list(measured[names[-1]]):
        checked = [(check, *(_percent(measured[name][check]) for name in names)) for check in what]
        parts += ["Right, where it was asked for:", _table(("", *names), checked)]
    if variety:
        values = [
            (key.replace("_", " "), *(_number(variety[name].get(key)) for name in variety)) for key in _keys(variety)
        ]
        parts += ["Variety:", _table(("", *variety), values)]
    parts += [f"What was heard ({names[-1]}), a row for what was asked:", confusion_table(stages[names[-1]])]
    return "\n\n".join(parts) + "\n"


def confusion_table(clips: Sequence[Judged]) -> str:
    """A row for each kind that was asked for, a column for each that was heard; zeros are left out."""
    found = kinds.confusions(clips)
    heard = {name for row in found.values() for name in row}
    columns = [kind for kind in found if kind in heard] + sorted(heard - set(found))
    rows = [(f"**{kind}**", *(str(row.get(name, "")) for name in columns)) for kind, row in found.items()]
    return _table(("", *columns), rows)


def _keys(variety: Mapping[str, Mapping[str, float]]) -> list[str]:
    return list(dict.fromkeys(key for values in variety.values() for key in values))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.4g}"
