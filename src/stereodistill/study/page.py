"""The study's table: means over seeds, their spread, the published numbers beside them, the claims, pictures."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stereodistill.data import open_dataset
from stereodistill.evaluation import load_source
from stereodistill.io.files import write_bytes
from stereodistill.io.lock import one_per_out
from stereodistill.report import Cell, Column, GalleryRow, Row, Table, gallery_row, write_report
from stereodistill.study.plan import Claim, Study, StudyRow
from stereodistill.study.run import Results, Runner

NUM_PICTURES = 4


def write_study(study: Study, rows: Sequence[StudyRow], results: Results, runner: Runner) -> Table:
    """Write `table.json` and `report.html` into the study's folder; returns the table."""
    table = result_table(study, rows, results)
    claims = [claim for claim in study.claims if {claim.better, claim.worse} <= set(results)]
    tables = [table, *([claims_table(claims, results)] if claims else [])]
    written = {
        **table.to_json(),
        "study": study.title,
        "cite": study.cite,
        "seeds": {name: sorted(of_row) for name, of_row in results.items()},
        "spread": {row.name: spread(results[row.name]) for row in rows},
        "published": {row.name: row.published for row in rows if row.published},
        "claims": [judged(claim, results) for claim in claims],
    }
    write_bytes(runner.out / "table.json", json.dumps(written, indent=1).encode())
    write_report(
        runner.out / "report.html",
        title=study.title,
        intro=f"{study.note}\n\nMethod: {study.cite}" if study.note else f"Method: {study.cite}",
        tables=tables,
        gallery=_pictures(study, rows, runner),
    )
    return table


def result_table(study: Study, rows: Sequence[StudyRow], results: Results) -> Table:
    """Own numbers (means over the seeds) and, where there are any, the published ones beside them."""
    cells: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        of_row = results[row.name]
        one = next(iter(of_row.values()))
        cells[row.name] = {"measured": {**one, "metrics": means(of_row)}}
        if row.published:
            cells[row.name]["published"] = {
                "protocol": study.published_as,
                "num_images": one.get("num_expected") or one["num_images"],
                "metrics": row.published,
            }
    references = [row.name for row in rows if row.reference]
    table = Table.from_results(study.title, cells, references=references, mark_mixed=True)
    notes = [_spread_note(name, of_row) for name, of_row in results.items() if len(of_row) > 1]
    return table.with_note("  \n".join(notes))


def claims_table(claims: Sequence[Claim], results: Results) -> Table:
    """Each claim with the two means, their ratio, and whether it shows."""
    judged_as = next(iter(results[claims[0].better].values()))
    keys = ("better", "worse", "ratio", "asked")
    columns = [Column(key=key, label=key, decimals=3).made_like(judged_as) for key in keys]
    rows = []
    for claim in claims:
        verdict = judged(claim, results)
        cells = tuple(Cell(verdict[key]) for key in ("better", "worse", "ratio", "asked"))
        rows.append(
            Row(
                f"{claim.text} ({claim.better} against {claim.worse}, {claim.metric})",
                cells,
                reference=True,
                note=verdict["verdict"],
            )
        )
    return Table("Claims", tuple(columns), tuple(rows))


def judged(claim: Claim, results: Results) -> dict[str, Any]:
    """A claim shows when the ratio of the means is reached and, with several seeds, the two do not overlap."""
    better, worse = (
        [result["metrics"][claim.metric] for result in results[name].values()] for name in (claim.better, claim.worse)
    )
    low, high = statistics.fmean(better), statistics.fmean(worse)
    apart = max(better) < min(worse)
    ratio = high / low if low else float("inf")
    shows = ratio > claim.ratio and apart
    verdict = "shows" if shows else "does not show" if ratio <= claim.ratio else "within the spread of the seeds"
    return {
        "text": claim.text,
        "metric": claim.metric,
        "better": low,
        "worse": high,
        "ratio": ratio,
        "asked": claim.ratio,
        "shows": shows,
        "verdict": verdict,
    }


def means(of_row: Mapping[int, Mapping[str, Any]]) -> dict[str, float | None]:
    """Metric -> mean over the seeds; None where a seed has no number."""
    found = [result["metrics"] for result in of_row.values()]
    return {
        key: None if any(m.get(key) is None for m in found) else statistics.fmean(m[key] for m in found)
        for key in found[0]
    }


def spread(of_row: Mapping[int, Mapping[str, Any]]) -> dict[str, float]:
    """Metric -> standard deviation over the seeds (of the sample); empty with a single seed."""
    found = [result["metrics"] for result in of_row.values()]
    if len(found) < 2:
        return {}
    return {key: statistics.stdev(m[key] for m in found) for key in found[0] if all(m[key] is not None for m in found)}


def _spread_note(name: str, of_row: Mapping[int, Mapping[str, Any]]) -> str:
    key = "abs_rel" if "abs_rel" in means(of_row) else next(iter(means(of_row)))
    deviation = spread(of_row).get(key)
    return f"{name}: {key} ± {'–' if deviation is None else format(deviation, '.3f')} over {len(of_row)} seeds"


def _pictures(study: Study, rows: Sequence[StudyRow], runner: Runner) -> list[GalleryRow]:
    """Input, ground truth, each method (first seed) on a few of the judged images."""
    data = open_dataset(runner.source(study.judge))
    chosen = sorted({round(i * (len(data) - 1) / max(NUM_PICTURES - 1, 1)) for i in range(NUM_PICTURES)})
    pairs = [data.load(index) for index in chosen]
    maps: list[dict[str, Any]] = [{} for _ in pairs]
    for row in rows:
        seed = study.seeds_of(row)[0]
        source = load_source(runner.found(row.weights, seed), runner.device)
        for found, pair in zip(maps, pairs, strict=True):
            found[row.name] = source(pair)[0]
    return [
        gallery_row(
            str(pair.name),
            pair.left.image.permute(1, 2, 0).numpy(),
            maps=found,
            truth_px=pair.left.disparity[0].numpy() if pair.left.valid.any() else None,
        )
        for pair, found in zip(pairs, maps, strict=True)
    ]


@one_per_out
def run_study(
    study: Study,
    out: str | Path,
    *,
    rows: Sequence[str] = (),
    roots: Mapping[str, str] | None = None,
    changes: Sequence[str] = (),
    device: str = "auto",
    progress: bool = True,
) -> Table:
    """Make and judge the chosen rows (default: all), write `table.json` and `report.html`; returns the table.

    A stopped study goes on where it was; a finished one only prints.

    Raises:
        UserError: an unknown row, data that are absent, and all that `train`, `label` and `evaluate` refuse.
    """
    runner = Runner(study, out, roots=roots, changes=changes, device=device, progress=progress)
    chosen = [study.row(name) for name in rows] if rows else list(study.rows)
    return write_study(study, chosen, runner.results(chosen), runner)
