"""Write the page of settings of the documentation from the fields of the dataclasses."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from scdiffot.core import FitConfig
from scdiffot.core.problem.config.setting import Settings
from scdiffot.core.response import ResponseConfig

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
HEAD = """# Settings

The numbers that determine a fit of a time course are settings; modules keep sizes of chunks,
numerical tolerances and the annealing of couplings. (Constants of the metric, the survival and the
networks of responses are in `scdiffot.core.response`.) Pass settings that differ from the defaults
as `config`:

```python
config = {"train": {"n_steps": 400}, "corrections": {"n_rounds": 0}}
sdo.tl.fit(adata, "time", config=config)
```

`config` is a dict, or a `FitConfig` (for responses, a `ResponseConfig`) of `scdiffot.core`.
The values that a fit used are stored with it: `sdo.get.model(adata).config`, which another fit
takes as its `config`. "auto" remains there, because every fit selects these values from its own
data; `sigma` and `alpha` of the model are the selected ones.

The last column states what was measured. `scripts/write_settings.py` writes this page.
"""


def page() -> str:
    """The whole page."""
    fit, response = FitConfig(), ResponseConfig()
    parts = [HEAD, "## Fits: `config`", table(fit)]
    for f in fields(fit):
        group = getattr(fit, f.name)
        if isinstance(group, Settings):
            parts += [f"## Fits: `{f.name}`\n\n{f.metadata['meaning']}", table(group)]
    parts += ["## Responses: `config`", table(response)]
    parts.append("Groups of `ResponseConfig` are those of fits, with these other defaults:")
    parts.append(differences(response))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def table(settings: Settings) -> str:
    """Table of the settings of one group, without its groups."""
    rows = [
        (f"`{f.name}`", f"`{value!r}`", *(f.metadata[n] for n in ("unit", "meaning", "source")))
        for f in fields(settings)
        if not isinstance(value := getattr(settings, f.name), Settings)
    ]
    return as_markdown(("name", "default", "unit", "meaning", "measured"), rows)


def differences(response: ResponseConfig) -> str:
    """Table of the defaults of responses that differ from those of fits."""
    fit = FitConfig()
    rows = []
    for group in fields(response):
        settings = getattr(response, group.name)
        if isinstance(settings, Settings):
            other = getattr(fit, group.name)
            rows += [
                (f"`{group.name}.{f.name}`", f"`{getattr(settings, f.name)!r}`")
                for f in fields(settings)
                if getattr(settings, f.name) != getattr(other, f.name)
            ]
    return as_markdown(("name", "default"), rows)


def as_markdown(names: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    lines = [names, tuple("---" for _ in names), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
