"""AsyncAPI page: the whole document as HTML, without scripts and files of other hosts."""

import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, Final

Part = Mapping[str, Any]

STYLE: Final = """
:root { color-scheme: light dark; --line: light-dark(#d9dde3, #3a414b);
  --soft: light-dark(#f4f6f8, #22272e); --faint: light-dark(#57606a, #9aa4b0);
  --accent: light-dark(#0b57d0, #8ab4f8); }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 2rem 1rem; }
h1, h2, h3 { line-height: 1.25; } h2 { margin-top: 2.5rem; }
a { color: var(--accent); }
code, pre { font: 0.875em/1.5 ui-monospace, monospace; }
pre { background: var(--soft); padding: 1rem; border-radius: 6px; overflow-x: auto; }
section { border: 1px solid var(--line); border-radius: 8px; padding: 0 1.25rem 1rem;
  margin: 1rem 0; }
.faint { color: var(--faint); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: 0.4rem 0.75rem 0.4rem 0;
  border-bottom: 1px solid var(--line); }
"""


def asyncapi_page(document: Part) -> str:
    """Return the page."""
    info, components = document["info"], document["components"]
    channels, operations = document["channels"].items(), document["operations"].values()
    schemas = components["schemas"].items()
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{escape(info["title"])}</title>
<style>{STYLE}</style>
<h1>{escape(info["title"])} <small class="faint">{escape(info["version"])}</small></h1>
<p>{_text(info["description"])}</p>
<p><a href="asyncapi.json">asyncapi.json</a> is the same for programs,
AsyncAPI {escape(document["asyncapi"])}.</p>
<h2>What is sent and received</h2>
<ul>{_each(_operation, operations)}</ul>
<h2>Channels</h2>
{"".join(_channel(name, channel) for name, channel in channels)}
<h2>Messages</h2>
{_each(_message, components["messages"].values())}
<h2>Bodies</h2>
{"".join(_schema(name, schema) for name, schema in schemas)}
</html>
"""


def _each(show: Any, parts: Iterable[Part]) -> str:
    return "".join(map(show, parts))


def _operation(operation: Part) -> str:
    title = _link(operation["channel"], operation["title"])
    return f"<li>{title}: {_text(operation['summary'])}</li>"


def _channel(name: str, channel: Part) -> str:
    messages = ", ".join(_link(one, one["$ref"]) for one in channel["messages"].values())
    description = _text(channel["description"])
    return _section(name, channel["title"], f"<p>{description}</p><p>Messages: {messages}</p>")


def _message(message: Part) -> str:
    examples = "".join(f"<pre>{_json(one['payload'])}</pre>" for one in message["examples"])
    body = _link(message["payload"], message["payload"]["$ref"])
    summary = f"<p>{_text(message['summary'])} Body: {body}</p>"
    headers = _fields(message["headers"], "Header")
    return _section(message["name"], message["title"], summary + headers + examples)


def _schema(name: str, schema: Part) -> str:
    values = ", ".join(f"<code>{_json(value)}</code>" for value in schema.get("enum", []))
    fields = _fields(schema, "Field") if "properties" in schema else f"<p>{values}</p>"
    return _section(name, name, f"<p>{_text(schema.get('description', ''))}</p>{fields}")


def _section(anchor: str, title: str, content: str) -> str:
    heading = f"<h3><code>{escape(title)}</code></h3>"
    return f'<section id="{escape(anchor)}">{heading}{content}</section>\n'


def _fields(schema: Part, heading: str) -> str:
    required = schema.get("required", [])
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{_type(field)}</td>"
        f"<td>{'required' if name in required else ''}</td>"
        f"<td>{_text(field.get('description', ''))}</td></tr>"
        for name, field in schema["properties"].items()
    )
    head = f"<tr><th>{heading}</th><th>Type</th><th></th><th></th></tr>"
    return f'<div class="scroll"><table>{head}{rows}</table></div>'


def _type(schema: Part) -> str:
    """Return the type of a schema in words."""
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    if "$ref" in schema:
        return _link(schema, schema["$ref"])
    return f"<code>{_json(schema['const'])}</code>" if "const" in schema else _simple_type(schema)


def _simple_type(schema: Part) -> str:
    name = escape(str(schema.get("type", "anything")))
    if name == "array":
        return f"array of {_type(schema.get('items', {}))}"
    limits = [schema["format"]] if "format" in schema else []
    limits += [f"{schema['minimum']} or more"] if "minimum" in schema else []
    return f"{name} ({escape(', '.join(limits))})" if limits else name


def _link(reference: Part, text: str) -> str:
    """Return a link to the referenced part; a reference as text is shown by its last word."""
    anchor, shown = (whole.rpartition("/")[2] for whole in (reference["$ref"], text))
    return f'<a href="#{escape(anchor)}">{escape(shown)}</a>'


def _json(value: Any) -> str:
    return escape(json.dumps(value, indent=2, ensure_ascii=False))


def _text(text: str) -> str:
    """Return the text as HTML with `code` and paragraphs."""
    parts = escape(text.strip()).split("`")
    marked = "".join(f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts))
    return marked.replace("\n\n", "</p><p>")
