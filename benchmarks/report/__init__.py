"""The page of the documentation, written from the rows alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.report import fates, genes, peers, responses, space, summary
from benchmarks.report.fits import speed_section, stability_section, truth_section
from benchmarks.report.predictions import held_out_section, in_sample_section, left_out_section

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.store import Store

INTRODUCTION = """\
# Benchmarks

`python -m benchmarks` measures everything and writes this page; the raw numbers are in
{download}`benchmarks.json`. All data sets are fitted with one default configuration. Every fit of
scdiffot is `tl.fit` on one thread of a central processing unit (CPU); CPU seconds are those of the
process, which other work on the machine can lengthen. W1 is the exact 1-Wasserstein distance
between the model's weighted particles and the observed cells. Ranges are the smallest and the
largest value over seeds.
"""


def write_page(store: Store, path: Path) -> None:
    """Write the page; parts that were not run are left out."""
    sections = [
        summary.section,
        held_out_section,
        left_out_section,
        truth_section,
        stability_section,
        speed_section,
        in_sample_section,
        peers.section,
        fates.section,
        genes.section,
        responses.section,
        space.section,
    ]
    texts = [INTRODUCTION, _environment(store)] + [
        text for section in sections if (text := section(store))
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(texts))


def _environment(store: Store) -> str:
    lines = []
    for name, environment in store.environments.items():
        rows = [row for row in store.rows if row["environment"] == name]
        dates = sorted({row["date"] for row in rows})
        period = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
        lines.append(
            f"- {period}: {environment['machine']}; {environment['system']}; "
            f"{environment['versions']}; parts {', '.join(sorted({row['part'] for row in rows}))}; "
            f"state of the engine `{environment['core']}`."
        )
    states = {environment["core"] for environment in store.environments.values()}
    if len(states) > 1:
        lines += [
            "",
            f"**Preliminary: these results come from {len(states)} states of the engine.**",
        ]
    return "\n".join(lines) + "\n"
