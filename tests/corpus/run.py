"""``scripts/corpus``: judges the corpus, and prints what is right, wrong and undecided."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.sandbox.pool import Pool
from tests.corpus.declared import Corpus, Item
from tests.corpus.fetching import fetch
from tests.corpus.judging import Judge, Judged, Outcome
from tests.corpus.results import outdated, table, told_missing, unexplained, wrongs


def judged_one(name: str) -> list[Judged] | str:
    """An artifact in a process of its own; why it could not be judged otherwise."""
    corpus = Corpus()
    try:
        return Judge(corpus, Cache()).judge(corpus.items[name])
    except XcError as error:
        return str(error)


def judged_all(items: Sequence[Item], *, load: bool = False) -> Iterator[tuple[Item, list[Judged] | str]]:
    """Artifacts one after the other: by as many processes as there are processors, where nothing is run of them."""
    if not load:
        # The largest first: no process is left alone with one at the end.
        ordered = sorted(items, key=lambda item: -item.artifact.size)
        with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as processes:
            yield from zip(ordered, processes.map(judged_one, [item.file for item in ordered]), strict=True)
        return
    corpus, cache = Corpus(), Cache()
    with contextlib.closing(Pool(Store(Platforms([resources.platforms_file()]), cache))) as pool:
        judge = Judge(corpus, cache, pool)
        for item in items:
            try:
                yield item, judge.judge(item)
            except XcError as error:
                yield item, str(error)


def with_parts(corpus: Corpus, items: Sequence[Item]) -> list[Item]:
    """Artifacts, and what they are made of."""
    parts = [corpus.items[part] for item in items for part in item.artifact.parts]
    return list({item.file: item for item in [*items, *parts]}.values())


def main(words: Sequence[str]) -> int:
    """1: a verdict is wrong and not listed, or something could not be judged."""
    parser = argparse.ArgumentParser(prog="scripts/corpus", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="kinds, or parts of file names (default: all)")
    parser.add_argument("--list", action="store_true", help="show the artifacts, and the truth of each")
    parser.add_argument("--fetch", action="store_true", help="fetch alone what the cache lacks")
    parser.add_argument(
        "--load", action="store_true", help="open and start what is in them in the platforms' sandboxes"
    )
    parser.add_argument("--json", action="store_true", help="print the verdicts as JSON")
    parser.add_argument(
        "--undecided", action="store_true", help="tell the undecided ones too, with what leaves them open"
    )
    chosen = parser.parse_args(words)
    corpus = Corpus()
    try:
        items = corpus.select(tuple(chosen.names))
    except ValueError as error:
        parser.error(str(error))
    if chosen.list:
        for item in items:
            truths = ", ".join(f"{family} {item.truth(family)}" for family in item.group.truth)
            print(f"{item.kind:24} {item.file}: {truths}")
        return 0
    faults = fetch(
        Cache(), with_parts(corpus, items), lambda name: print(f"fetching {name}", file=sys.stderr, flush=True)
    )
    if chosen.fetch:
        print(told_missing(faults) or f"{len(items)} artifacts are in the cache")
        return 1 if faults else 0
    judged: list[Judged] = []
    for item, found in judged_all([item for item in items if item.file not in faults], load=chosen.load):
        if isinstance(found, str):
            faults[item.file] = found
        else:
            judged += found
    if chosen.json:
        print(json.dumps({"judged": [each.as_json for each in judged], "not_judged": faults}, indent=1))
    else:
        _tell(judged, faults, undecided=chosen.undecided)
    return 1 if faults or unexplained(judged) else 0


def _tell(judged: Sequence[Judged], faults: dict[str, str], *, undecided: bool) -> None:
    for text in (wrongs(judged), told_missing(faults)):
        if text:
            print(text)
    for each in outdated(judged):
        print(f"{each.file} on {each.family} is {each.outcome}, and listed as wrong: {each.known}")
    for each in judged if undecided else ():
        if each.outcome is Outcome.UNDECIDED:
            print(f"undecided: {each.file} on {each.family}: the truth is {each.expected}")
            print("\n".join(f"    {code} {place}" for code, place in each.codes.items()))
    print(table(judged))
