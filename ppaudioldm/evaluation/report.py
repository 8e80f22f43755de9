"""Results of an evaluation as Markdown tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from ppaudioldm.evaluation import summary
from ppaudioldm.evaluation.choices import JUDGED_FROM, REAL
from ppaudioldm.evaluation.kinds import RecognisedClip
from ppaudioldm.evaluation.summary import Summary

MATRIX_KINDS = 20  # more do not fit into a matrix that one can read
TOTALS = {
    "accuracy": "**single kinds**",
    "lowest_of_a_kind": "lowest of a single kind",
    "accuracy_of_pairs": "**pairs of sounds**",
}
LANGUAGE_NAMES = {"en": "English captions", "zh": "Chinese captions"}


def measures_table(measures: Mapping[str, float]) -> str:
    """Measures by name as a table."""
    rows = [(name.replace("_", " "), _number(value)) for name, value in measures.items()]
    return _table(("measure", "value"), rows)


def kinds_report(stages: Mapping[str, Summary]) -> str:
    """Accuracy by kind and stage, further checks, regularity, variety, and what was confused in the last stage.

    stages: by the name of a stage.
    """
    names = list(stages)
    last = stages[names[-1]]
    requested = list(last.by_kind)
    blocks = [f"Recognition accuracy, {len(last.clips) // len(requested)} clips a kind:", _accuracy_table(stages)]
    if REAL in stages and (unsure := summary.not_judged(stages[REAL])):
        blocks.append(
            f"Of these kinds under {_percent(JUDGED_FROM)} of the real clips are recognised, "
            f"so that the classifier cannot judge them: {', '.join(unsure)}."
        )
    by_check = {name: summary.accuracy_by_check(stage.clips) for name, stage in stages.items()}
    if checks := _keys(by_check):
        checked = [(check, *(_percent(found[check]) for found in by_check.values())) for check in checks]
        blocks += ["As requested, among the clips whose caption requests it:", _table(("", *names), checked)]
    regularity = {name: summary.median_regularity(stage.clips) for name, stage in stages.items()}
    if keys := _keys(regularity):
        rows = [(key, *(_median(*found[key]) for found in regularity.values())) for key in keys]
        blocks += ["Regularity, medians (of the share of clips that have it):", _table(("", *names), rows)]
    blocks += ["Variety:", _measures_by_stage({name: stage.variety for name, stage in stages.items()})]
    papers = {name: stage.papers for name, stage in stages.items()}
    if _keys(papers):
        blocks += ["As papers measure, against the real clips:", _measures_by_stage(papers)]
    blocks += ["Nearest training clip of each kind:", _measures_by_stage({names[-1]: last.nearest})]
    if len(requested) <= MATRIX_KINDS:
        blocks.append(f"Confusion matrix of {names[-1]}: a row for each requested kind, a column for each recognised:")
        blocks.append(confusion_table(last.clips))
    else:
        blocks += [f"Not recognised, of {names[-1]}:", confusion_list(last.clips)]
    return "\n\n".join(blocks) + "\n"


def _accuracy_table(stages: Mapping[str, Summary]) -> str:
    """A row for each kind, then for all single kinds, the lowest of them, languages, and pairs; a column a stage."""
    columns = [
        {
            **stage.by_kind,
            **{TOTALS[name]: share for name, share in stage.totals.items()},
            **{LANGUAGE_NAMES[language]: share for language, share in stage.by_language.items()},
        }
        for stage in stages.values()
    ]
    rows = [(name, *(_percent(column[name]) for column in columns)) for name in columns[0]]
    return _table(("kind", *stages), rows)


def _measures_by_stage(measures: Mapping[str, Mapping[str, float]]) -> str:
    rows = [
        (key.replace("_", " "), *(_number(found.get(key)) for found in measures.values())) for key in _keys(measures)
    ]
    return _table(("", *measures), rows)


def confusion_list(clips: Sequence[RecognisedClip]) -> str:
    """The requested kinds that were taken for others, and for which, the most frequent first."""
    rows = []
    for kind, row in summary.confusions(clips).items():
        others = sorted(((count, name) for name, count in row.items() if name != kind), key=lambda it: (-it[0], it[1]))
        if others:
            rows.append((kind, ", ".join(f"{name} ({count})" if count > 1 else name for count, name in others)))
    return _table(("requested", "recognised"), rows)


def confusion_table(clips: Sequence[RecognisedClip]) -> str:
    """A row for each requested kind, a column for each recognised one; zeros are left out."""
    matrix = summary.confusions(clips)
    recognised = {name for row in matrix.values() for name in row}
    columns = [kind for kind in matrix if kind in recognised] + sorted(recognised - set(matrix))
    rows = [(f"**{kind}**", *(str(row.get(name, "")) for name in columns)) for kind, row in matrix.items()]
    return _table(("", *columns), rows)


def _keys(by_stage: Mapping[str, Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(key for keys in by_stage.values() for key in keys))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def _median(value: float, share: float) -> str:
    """A median, with the share of clips that it is of unless these are all."""
    if math.isnan(value):
        return "none"
    return _number(value) if share == 1 else f"{_number(value)} ({_percent(share)})"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.4g}"
