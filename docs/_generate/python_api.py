"""The page of the Python API: every name of `stereodistill.__all__`, its documentation read from the source."""

from __future__ import annotations

import inspect

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PAGE = "reference/api.md"
INTRODUCTION = """# Python

```python
import stereodistill as sd
```

All of these are names of `sd`. Each is imported at its first use, so that `import stereodistill` is quick. What a
user can get wrong raises `sd.UserError`, a `ValueError` whose message is one line that says how to mend it.

"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page to those that lie on disk."""
    files.append(File.generated(config, PAGE, content=page()))
    return files


def page() -> str:
    """Markdown with one reference for each public name, which mkdocstrings fills in."""
    import stereodistill

    public = {name: getattr(stereodistill, name) for name in stereodistill.__all__ if name != "__version__"}
    lines = [INTRODUCTION]
    for title, wanted in (("Functions", inspect.isroutine), ("Classes", inspect.isclass)):
        lines += [f"## {title}", ""]
        for name, thing in public.items():
            if wanted(thing):
                options = f"    options: {{heading: sd.{name}, toc_label: {name}}}"
                lines += [f"::: {thing.__module__}.{thing.__qualname__}", options, ""]
    return "\n".join(lines)
