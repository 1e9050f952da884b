"""Print all plugins of the Savu that this interpreter has, as JSON. Python 3.6 and later.

``python export_catalogue.py > catalogue.json``: ``{"engine", "version", "plugins": {name: {"id",
"info", "synopsis", "warn", "doc_link", "citations", "parameters"}}, "unavailable": {name: why}}``.
A plugin whose libraries are not installed is not among the plugins. Loading them all takes some
seconds; what they print goes to standard error.
"""

import json
import os
import sys

import compatibility


def main():
    compatibility.leave_own_folder()
    compatibility.prepare()
    # Plugins and the libraries below them print while they are imported.
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    catalogue = describe_savu()
    json.dump(catalogue, answer, indent=1, sort_keys=True, allow_nan=False)
    answer.write("\n")
    for stream in (answer, sys.stdout, sys.stderr):
        stream.flush()
    # Some of those libraries do not survive the interpreter's end.
    os._exit(0)


def describe_savu():
    """The whole catalogue."""
    from savu.plugins import utils
    from savu.version import __version__
    from scripts.config_generator.config_utils import populate_plugins

    unavailable = {name: one_line(error) for name, error in populate_plugins().items()}
    plugins = {}
    for name, plugin_class in utils.plugins.items():
        if name in unavailable:
            continue
        try:
            plugins[name] = describe_plugin(plugin_class)
        except Exception as error:  # one broken plugin is not to cost the catalogue
            unavailable[name] = one_line(error)
    return {
        "engine": "savu",
        "version": __version__,
        "plugins": plugins,
        "unavailable": unavailable,
    }


def describe_plugin(plugin_class):
    """One plugin, with its parameters in Savu's order."""
    tools = plugin_class().get_plugin_tools()
    definitions = tools.get_param_definitions()
    values = tools.get_param_values()
    # In 4.2 the documentation belongs to the tools.
    documentation = getattr(tools, "docstring_info", None) or {}
    return {
        "id": plugin_class.__module__,
        "info": text(documentation.get("info")),
        "synopsis": text(documentation.get("synopsis")),
        "warn": text(documentation.get("warn")),
        "doc_link": text(documentation.get("documentation_link")),
        "citations": [
            describe_citation(title, citation)
            for title, citation in (tools.get_citations() or {}).items()
        ],
        "parameters": [
            describe_parameter(name, definition, values.get(name, definition.get("default")))
            for name, definition in definitions.items()
        ],
    }


def describe_citation(title, citation):
    """One citation; the fields that Savu writes into its files."""
    fields = ("description", "doi", "endnote", "bibtex")
    return dict(
        {"citation": text(title)}, **{name: text(getattr(citation, name, "")) for name in fields}
    )


def describe_parameter(name, definition, default):
    """One parameter; ``default`` has what depends on other parameters' defaults worked out."""
    description = definition.get("description")
    of_options = {}
    if isinstance(description, dict):
        of_options = description.get("options") or {}
        description = {
            key: text(description[key])
            for key in ("summary", "verbose", "range")
            if description.get(key)
        }
    else:
        description = {"summary": text(description)}
    options = [str(option) for option in definition.get("options") or ()]
    described = {
        "name": name,
        "dtype": str(definition.get("dtype") or guess_dtype(default)).replace(" ", ""),
        "default": without_word_none(plain(default), options),
        "visibility": text(definition.get("visibility")) or "basic",
        "description": description,
    }
    if options:
        by_name = {str(option): text(meaning) for option, meaning in of_options.items()}
        described["options"] = [[option, by_name.get(option, "")] for option in options]
    dependency = definition.get("dependency")
    if isinstance(dependency, dict):
        described["dependency"] = {str(key): plain(value) for key, value in dependency.items()}
    return described


def guess_dtype(default):
    """Savu's word for the type of a hidden parameter, which need not have one."""
    for kind, word in (
        (bool, "bool"),
        (int, "int"),
        (float, "float"),
        (list, "list"),
        (dict, "dict"),
    ):
        if isinstance(default, kind):
            return word
    return "[None,str]"


def without_word_none(value, options=()):
    """Savu's defaults hold the word None in lists; read back it would be the name of a file."""
    if isinstance(value, list):
        return [without_word_none(item) for item in value]
    if isinstance(value, dict):
        return {key: without_word_none(item) for key, item in value.items()}
    return None if value == "None" and "None" not in options else value


def plain(value):
    """``value`` as JSON has it."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return str(value)


def text(value):
    """Savu has None where it has nothing to say."""
    return "" if value is None else str(value).strip()


def one_line(error):
    return " ".join("{}: {}".format(type(error).__name__, error).split())[:300]


if __name__ == "__main__":
    main()
