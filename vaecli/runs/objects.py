"""Parts of a model that are objects of Python: an objective, an architecture or networks that no file names."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from vaecli import plugins, registry
from vaecli.arguments import wrong
from vaecli.config import Config
from vaecli.errors import UsageError, VaecliError
from vaecli.networks.given import GivenNetworks
from vaecli.objectives.base import check_objective
from vaecli.runs.find import CONFIG, read_config
from vaecli.runs.header import read_record

OBJECT = registry.Provider()
"""Where they come from: a session of Python."""


def with_objects(config: Config, folder: Path, objects: dict[str, Any]) -> Config:
    """The settings that name these objects, which are members of the registry from now on.

    An object of a registered class whose options are its attributes is named as that member, so that its run opens anywhere.
    Another has the name of its class, or the one that the run in `folder` has for it.

    Args:
        config: the settings.
        folder: the run's.
        objects: by ``objective``, ``arch``, ``encoder`` and ``decoder``; None for what is not given.

    Raises:
        UsageError: an object is none of its kind, or the settings choose a member of its family too.
    """
    usual = Config(dataset=config.dataset)
    for family, it in _by_family(objects).items():
        chosen, member, recorded = getattr(config, family), plugins.name_of(family, type(it)), _recorded(folder, family)
        if chosen not in (getattr(usual, family), member, recorded):
            raise UsageError(
                f"{{{family}}} with an object: expected only one of them; leave {{{family}=}} out of the settings",
                **{family: chosen},
            )
        names = registry.find(family, member).defaults if member else {}
        if member and all(hasattr(it, name) for name in names):
            changes = {name: getattr(it, name) for name in names} | {family: member}
        else:
            changes = {family: _named(family, it, recorded)}
        unused: dict[str, Any] = {option.name: None for option in registry.options_of(family)}
        config = replace(config, **(unused | changes))
    return config


def open_with(file: Path, objects: dict[str, Any]) -> None:
    """Adds objects to the registry under the names that the run of a checkpoint has for them.

    Raises:
        UsageError: the run has no such object.
    """
    for family, it in _by_family(objects).items():
        about = read_record(file)
        name = getattr(about.config, family)
        record = (
            next((record for record in about.provenance.members if record.family == family), None) if about.provenance else None
        )
        if record is None or record.source:
            raise UsageError(f"{{{family}=}}: the run has the {family} {name}, which is no object of Python; leave it out")
        registry.REGISTRY[family][name] = _member(it)


def _by_family(objects: dict[str, Any]) -> dict[str, Any]:
    """The objects by their family of the registry; two networks are an architecture."""
    objective, arch, encoder, decoder = (objects.get(name) for name in ("objective", "arch", "encoder", "decoder"))
    given: dict[str, Any] = {}
    if objective is not None:
        check_objective(objective)
        given["objective"] = objective
    if arch is not None:
        if isinstance(arch, type) or not all(callable(getattr(arch, name, None)) for name in ("encoder", "decoder")):
            raise wrong("arch", arch, "expected an object with the methods `encoder` and `decoder`, such as MLP((500,))")
        given["arch"] = arch
    if encoder is not None or decoder is not None:
        if arch is not None:
            raise UsageError("{arch=} with {encoder=} or {decoder=}: expected the one or the others")
        if encoder is None or decoder is None:
            there, missing = ("decoder", "encoder") if encoder is None else ("encoder", "decoder")
            raise UsageError(
                f"{{{there}=}}: found it without {{{missing}=}}, expected both; {{arch=}} takes an object that makes both"
            )
        given["arch"] = GivenNetworks(encoder, decoder)
    return given


def _named(family: str, it: Any, recorded: str | None) -> str:
    members = registry.REGISTRY[family]
    if recorded:
        members[recorded] = _member(it)
        return recorded
    kind = "own-networks" if isinstance(it, GivenNetworks) else type(it).__name__
    base = re.sub(r"[^a-z0-9]+", "-", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", kind).lower()).strip("-") or "own"
    name, number = base, 2
    while name in members and not _is(members[name], it):
        name, number = f"{base}-{number}", number + 1
    members[name] = _member(it)
    return name


def _recorded(folder: Path, family: str) -> str | None:
    """The name that the run in a folder has for an object of a family; None where it has none."""
    try:
        _, provenance = read_config(folder / CONFIG)
    except VaecliError:
        return None
    members = provenance.members if provenance else ()
    return next((record.name for record in members if record.family == family and not record.source), None)


def _is(member: registry.Member, it: Any) -> bool:
    return member.provider == OBJECT and member.path() == it


def _member(it: Any) -> registry.Member:
    return registry.Member(lambda: it, "an object of Python", provider=OBJECT)
