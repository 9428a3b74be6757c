"""Every way to not run, hide, repeat or re-order a check: the grade is never better, and a good subject's never worse untold.

Each way is tried on a product that passes, one that fails, and with a check that errs.
"""

from __future__ import annotations

import importlib.util
import re
import textwrap
from dataclasses import dataclass, field

import pytest

import pytest_xinchuang.packages.supply_chain.engine
import pytest_xinchuang.report.files
import pytest_xinchuang.run.active  # noqa: F401  (loaded once, and not by each run inside)
from tests.integration.planned import OPTIONS, PLATFORM, PLUGIN, Came, came, report_of, vendor

pytestmark = pytest.mark.tools

ONE = """
    import pytest
    from product import see

    @pytest.mark.xc_requirement("ACME-001")
    def test_one(xc_sandbox):
        see(xc_sandbox)
"""
TWO = """
    import pytest

    @pytest.mark.xc_requirement("ACME-002")
    def test_two(xc_sandbox):
        xc_sandbox.run(["x"])
"""
FAILS_BEFORE = "def test_before(): assert 0"


@dataclass(frozen=True)
class Way:
    """One way.

    Attributes:
        good: what a good product's check comes to: "pass", or another verdict and a pattern of the reason that is told.
        one: the file with the check; "" for the plain one.
        before: arguments of a run before it, if one is needed.
        plugins: third-party modules that are loaded.
    """

    name: str
    arguments: tuple[str, ...] = ()
    good: str | tuple[str, str] = "pass"
    one: str = ""
    files: dict[str, str] = field(default_factory=dict)
    ini: str = ""
    before: tuple[str, ...] | None = None
    plugins: tuple[str, ...] = ()


def marked(decorators: str, body: str = "see(xc_sandbox)", signature: str = "xc_sandbox") -> str:
    """The file of a check with decorators and a body of its own."""
    text = textwrap.indent(textwrap.dedent(body).strip(), "        ").lstrip()
    return (
        textwrap.dedent(ONE)
        .replace("@pytest.mark.xc", f"{decorators}\n@pytest.mark.xc")
        .replace("(xc_sandbox):\n    see(xc_sandbox)", f"({signature}):\n        {text}")
    )


def within(header: str, name: str = "test_one") -> str:
    return f"""
    import pytest
    from product import see
    {header}
    @pytest.mark.xc_requirement("ACME-001")
    def {name}(xc_sandbox):
        see(xc_sandbox)
    """


GOOD = """
    @pytest.mark.xc_requirement("ACME-001")
    def test_good(xc_sandbox):
        xc_sandbox.run(["x"])
"""
REQUIRES = """
    import pytest
    starts = pytest.mark.xc_requirement("ACME-001")
    works = pytest.mark.xc_requirement("ACME-009")
"""
IMPORTING = """
    import pytest
    import requires
    pytest.importorskip("no_such")

    @requires.starts
    def test_hidden(xc_sandbox): assert 0
"""
HIDDEN_CLASS = """
    class TestOld:
        __test__ = False
        @pytest.mark.xc_requirement("ACME-001")
        def test_one(self, xc_sandbox): see(xc_sandbox)
"""


def beside(text: str) -> str:
    """A file in which a check of the same requirement passes, whatever the product."""
    return (
        textwrap.dedent("\n    import pytest\n    from product import see\n")
        + textwrap.dedent(text)
        + textwrap.dedent(GOOD)
    )


NOT_RUN = ("not_tested", "planned and decided nothing: something ended the run")
HOST = "inconclusive"

WAYS = [
    Way("nothing"),
    # What is not run.
    Way("deselect", ("--deselect", "test_one.py::test_one"), ("not_tested", "deselected: by --deselect")),
    Way("deselect the case", ("--deselect", f"test_one.py::test_one[{PLATFORM}]"), ("not_tested", "by --deselect")),
    Way("keyword", ("-k", "not test_one"), ("not_tested", "deselected: by -k")),
    Way("mark expression", ("-m", "not later"), ("not_tested", "by -m"), one=marked("@pytest.mark.later")),
    Way("-x", ("-x",), NOT_RUN, files={"test_before": FAILS_BEFORE}),
    Way("--maxfail", ("--maxfail=1",), NOT_RUN, files={"test_before": FAILS_BEFORE}),
    Way("--lf", ("--lf",), ("not_tested", "by --lf"), files={"test_before": FAILS_BEFORE}, before=("-k", "not one")),
    Way("--ff", ("--ff",), files={"test_before": FAILS_BEFORE}, before=("-k", "not one")),
    Way("--nf", ("--nf",), before=()),
    Way("--sw", ("--sw",), NOT_RUN, files={"test_before": FAILS_BEFORE}),
    Way(
        "--sw again",
        ("--sw",),
        ("not_tested", "deselected: by --sw"),
        files={"test_z": "def test_z(): assert 0"},
        before=("--sw",),
    ),
    Way("--collect-only", ("--collect-only",), ("", "")),
    Way("--setup-plan", ("--setup-plan",), ("", "")),
    Way("--setup-only", ("--setup-only",), ("not_tested", "")),
    Way("--setup-show", ("--setup-show",)),
    Way(
        "pytest.exit",
        (),
        ("not_tested", "decided nothing"),
        files={"test_before": "import pytest\ndef test_b(): pytest.exit('enough', 0)"},
    ),
    Way(
        "KeyboardInterrupt",
        (),
        ("not_tested", "decided nothing"),
        files={"test_before": "def test_b(): raise KeyboardInterrupt"},
    ),
    Way("another file", ("test_two.py",), ("not_tested", "test_one.py was not collected|no check decided it")),
    Way(
        "another test of the file",
        ("test_one.py::test_other", "test_two.py"),
        ("not_tested", "not among what was asked for"),
        one=ONE + "\n    def test_other(): pass\n",
    ),
    Way("its node id", (f"test_one.py::test_one[{PLATFORM}]", "test_two.py")),
    Way("--ignore", ("--ignore=test_one.py",), ("not_tested", "test_one.py was not collected: it was left out")),
    Way("--ignore-glob", ("--ignore-glob=*_one.py",), ("not_tested", "was not collected")),
    Way(
        "collect_ignore",
        (),
        ("not_tested", "was not collected"),
        files={"conftest+": "collect_ignore = ['test_one.py']"},
    ),
    Way(
        "pytest_ignore_collect",
        (),
        ("not_tested", "was not collected"),
        files={
            "conftest+": "def pytest_ignore_collect(collection_path): return collection_path.name == 'test_one.py' or None"
        },
    ),
    Way(
        "modifyitems",
        (),
        ("not_tested", "deselected: by a plugin or a hook"),
        files={
            "conftest+": "def pytest_collection_modifyitems(items): items[:] = [i for i in items if 'one' not in i.name]"
        },
    ),
    Way(
        "an own protocol",
        (),
        NOT_RUN,
        files={"conftest+": "def pytest_runtest_protocol(item): return True if 'one' in item.name else None"},
    ),
    Way("python_functions", (), ("not_tested", ""), ini="python_functions = test_two"),
    Way("python_files", (), ("not_tested", ""), ini="python_files = test_two.py"),
    Way(
        "python_classes",
        (),
        ("not_tested", ""),
        ini="python_classes = Nothing",
        one="""
        import pytest
        from product import see
        class TestIt:
            @pytest.mark.xc_requirement("ACME-001")
            def test_one(self, xc_sandbox): see(xc_sandbox)
        """,
    ),
    Way(
        "norecursedirs",
        (),
        ("not_tested", ""),
        ini="norecursedirs = deep",
        one="def test_other(): pass",
        files={"deep/test_deep": ONE},
    ),
    Way("__test__", (), ("not_tested", ""), one=ONE + "\n    __test__ = False\n"),
    Way("test_one.__test__", (), ("not_tested", ""), one=ONE + "\n    test_one.__test__ = False\n"),
    # What stands in a file that is collected, beside what is tested.
    Way("a class that is hidden", (), ("not_tested", "TestOld::test_one was not collected"), one=beside(HIDDEN_CLASS)),
    Way(
        "a class with an __init__",
        ("-W", "default::pytest.PytestCollectionWarning"),
        ("not_tested", "TestOld::test_one was not collected"),
        one=beside(HIDDEN_CLASS.replace("__test__ = False", "def __init__(self): pass")),
    ),
    Way(
        "a class with the marker",
        (),
        ("not_tested", "TestOld::test_one was not collected"),
        one=beside(
            """
    @pytest.mark.xc_requirement("ACME-001")
    class TestOld:
        __test__ = False
        def test_one(self, xc_sandbox): see(xc_sandbox)
    """
        ),
    ),
    Way(
        "a function that is hidden",
        (),
        ("not_tested", "test_hidden was not collected"),
        one=beside(within("", "test_hidden") + "\n    test_hidden.__test__ = False\n"),
    ),
    Way(
        "a function of another name",
        (),
        ("not_tested", "check_it was not collected"),
        one=beside(within("", "check_it")),
    ),
    Way(
        "a function by ini",
        (),
        ("not_tested", "test_old was not"),
        ini="python_functions = test_[!o]*",
        one=beside(within("", "test_old")),
    ),
    Way(
        "a function that is replaced",
        (),
        ("not_tested", "test_good:.* takes its place"),
        one=beside(within("", "test_good")),
    ),
    Way(
        "a class that is replaced",
        (),
        ("not_tested", "TestIt::test_one:.* takes its place"),
        one="""
        import pytest
        from product import see
        class TestIt:
            @pytest.mark.xc_requirement("ACME-001")
            def test_one(self, xc_sandbox): see(xc_sandbox)
        class TestIt:
            @pytest.mark.xc_requirement("ACME-001")
            def test_two(self, xc_sandbox): xc_sandbox.run(["x"])
        """,
    ),
    Way(
        "a base class",
        (),
        one="""
        import pytest
        from product import see
        class Base:
            @pytest.mark.xc_requirement("ACME-001")
            def test_one(self, xc_sandbox): see(xc_sandbox)
        class TestIt(Base): pass
        class TestMore(Base): pass
        """,
    ),
    Way(
        "an abstract class",
        (),
        one="""
        import pytest
        from product import see
        class TestBase:
            __test__ = False
            @pytest.mark.xc_requirement("ACME-001")
            def test_one(self, xc_sandbox): see(xc_sandbox)
        class TestIt(TestBase): __test__ = True
        """,
    ),
    Way(
        "a helper of the name of a test",
        (),
        one=ONE
        + "\n    def test_data(): return 1\n    test_data.__test__ = False\n    class TestData:\n        __test__ = False\n",
    ),
    # What stands in a file that is not collected, beside one that is.
    Way(
        "a file that was not asked for",
        ("test_good.py", "test_two.py"),
        ("not_tested", "test_one.py was not collected: it was left out"),
        files={"test_good": beside("")},
    ),
    Way(
        "a file that is not asked for and decides nothing",
        ("test_one.py", "test_two.py"),
        files={"test_other": "import pytest\nX = pytest.mark.xc_requirement(*[f'OTHER-{i}' for i in range(3)])\n"},
    ),
    Way(
        "an imported marker",
        (),
        ("not_tested", "test_hidden.py was not collected: .*no_such"),
        files={
            "requires": REQUIRES,
            "test_hidden": IMPORTING.replace("import requires", "from requires import starts").replace("requires.", ""),
        },
    ),
    Way(
        "an imported marker of another requirement",
        (),
        files={
            "requires": REQUIRES,
            "test_hidden": IMPORTING.replace("starts", "works"),
        },
    ),
    Way(
        "a file of another kind that cannot be read",
        ("--continue-on-collection-errors",),
        ("not_tested", "spec.txt was not collected"),
        files={
            "conftest+": textwrap.dedent(
                """
                import pytest

                class Spec(pytest.File):
                    def collect(self): raise RuntimeError("no")

                def pytest_collect_file(file_path, parent):
                    return Spec.from_parent(parent, path=file_path) if file_path.name == "spec.txt" else None
                """
            ),
            "spec.txt": "ACME-001: it starts",
        },
    ),
    # How it is marked.
    Way(
        "a marker as it runs",
        (),
        ("inconclusive", "was not planned, and decided"),
        one="""
        import pytest
        from product import see
        @pytest.fixture
        def late(request): request.node.add_marker(pytest.mark.xc_requirement("ACME-001"))
        def test_one(late, xc_sandbox): see(xc_sandbox)
        @pytest.mark.xc_requirement("ACME-001")
        def test_good(xc_sandbox): xc_sandbox.run(["x"])
        """,
    ),
    Way(
        "a marker by modifyitems",
        (),
        one=ONE.replace('@pytest.mark.xc_requirement("ACME-001")', ""),
        files={
            "conftest+": "def pytest_collection_modifyitems(items):\n    import pytest\n    for i in items:\n"
            "        'one' in i.name and i.add_marker(pytest.mark.xc_requirement('ACME-001'))\n"
        },
    ),
    Way(
        "a marker that there is not",
        ("-W", "default::pytest.PytestUnknownMarkWarning"),
        ("not_tested", ""),
        one=beside(within("").replace("xc_requirement", "xc_requirements")),
    ),
    Way(
        "a marker of somebody else",
        (),
        ini="    xc_other(it): theirs",
        one=ONE.replace("@pytest", "@pytest.mark.xc_other(1)\n    @pytest", 1),
    ),
    # What is skipped.
    Way("skip", (), ("not_tested", "skipped: later"), one=marked("@pytest.mark.skip(reason='later')")),
    Way("skipif", (), ("not_tested", "skipped: later"), one=marked("@pytest.mark.skipif(True, reason='later')")),
    Way("skipif not", (), one=marked("@pytest.mark.skipif(False, reason='later')")),
    Way("skip before", (), ("not_tested", "skipped: later"), one=marked("", "pytest.skip('later')\nsee(xc_sandbox)")),
    Way("skip after", (), ("not_tested", "skipped: later"), one=marked("", "see(xc_sandbox)\npytest.skip('later')")),
    Way(
        "skip of the file",
        (),
        ("not_tested", "not collected: .*later"),
        one=within("pytest.skip('later', allow_module_level=True)"),
    ),
    Way("pytestmark", (), ("not_tested", "skipped: later"), one=within("pytestmark = pytest.mark.skip('later')")),
    Way(
        "skip of a fixture",
        (),
        ("not_tested", "skipped: later"),
        one=within("@pytest.fixture(autouse=True)\n    def f(): pytest.skip('later')\n"),
    ),
    Way(
        "a parameter is skipped",
        (),
        ("not_tested", "skipped: later"),
        one=marked(
            "@pytest.mark.parametrize('a', [1, pytest.param(2, marks=pytest.mark.skip('later'))])",
            "a == 2 or xc_sandbox.run(['x'])\na == 2 and see(xc_sandbox)",
            "xc_sandbox, a",
        ),
    ),
    Way(
        "no parameters",
        (),
        ("not_tested", ""),
        one=marked("@pytest.mark.parametrize('a', [])", "see(xc_sandbox)", "xc_sandbox, a"),
    ),
    Way("importorskip", (), ("not_tested", "not collected: .*no_such"), one=within("pytest.importorskip('no_such')")),
    Way(
        "an import that fails",
        ("--continue-on-collection-errors",),
        ("not_tested", "not collected: .*no_such"),
        one=within("import no_such"),
    ),
    Way("an import that fails ends it", (), ("not_tested", "not collected: .*no_such"), one=within("import no_such")),
    Way(
        "a conftest below that fails",
        ("--continue-on-collection-errors",),
        ("not_tested", ""),
        one="def test_other(): pass",
        files={"deep/conftest": "import no_such", "deep/test_deep": ONE},
    ),
    Way("a syntax error", ("--continue-on-collection-errors",), ("not_tested", "not collected"), one=within("def")),
    Way(
        "a fixture that is missing",
        (),
        (HOST, "set-up: FixtureLookup"),
        one=marked("", "see(xc_sandbox)", "xc_sandbox, gone"),
    ),
    Way("setup_module", (), (HOST, "set-up"), one=within("def setup_module(): raise RuntimeError('no')\n")),
    Way("teardown_module", (), (HOST, "tear-down"), one=within("def teardown_module(): raise RuntimeError('no')\n")),
    Way(
        "for another platform",
        (),
        ("not_tested", "for other platforms alone"),
        one=marked("@pytest.mark.xc_platform('hygon')"),
    ),
    # What is expected to fail.
    Way("xfail", (), (HOST, "expected to fail"), one=marked("@pytest.mark.xfail(reason='known')")),
    Way(
        "xfail strict",
        (),
        (HOST, "expected to fail|XPASS"),
        one=marked("@pytest.mark.xfail(reason='known', strict=True)"),
    ),
    Way(
        "xfail not run",
        (),
        (HOST, "expected to fail|xfail"),
        one=marked("@pytest.mark.xfail(reason='known', run=False)"),
    ),
    Way("xfail raises", (), (HOST, "expected to fail"), one=marked("@pytest.mark.xfail(raises=AssertionError)")),
    Way("xfail not", (), one=marked("@pytest.mark.xfail(False, reason='known')")),
    Way("xfail imperative", (), (HOST, "known"), one=marked("", "see(xc_sandbox)\npytest.xfail('known')")),
    Way("xfail first", (), (HOST, "known"), one=marked("", "pytest.xfail('known')\nsee(xc_sandbox)")),
    Way("--runxfail", ("--runxfail",), one=marked("@pytest.mark.xfail(reason='known')")),
    # What is in parts.
    Way(
        "subtests",
        (),
        one=marked(
            "",
            "for i in range(3):\n    with subtests.test(i=i):\n        i == 1 and see(xc_sandbox)",
            "xc_sandbox, subtests",
        ),
    ),
    Way(
        "subtests of a tear-down",
        (),
        one=within(
            "@pytest.fixture(autouse=True)\n    def f(subtests):\n        yield\n        with subtests.test(): pass\n"
        ),
    ),
    Way(
        "subtests of a set-up",
        (),
        one=within("@pytest.fixture(autouse=True)\n    def f(subtests):\n        with subtests.test(): pass\n"),
    ),
    Way(
        "subtests of a set-up that say it",
        (),
        one=marked("", "pass", "xc_sandbox, f").replace(
            "import see",
            "import see\n\n@pytest.fixture\ndef f(subtests, xc_sandbox):\n    with subtests.test(): see(xc_sandbox)\n",
        ),
    ),
    Way(
        "subtests of a tear-down that say it",
        (),
        one=marked("", "xc_sandbox.run(['x'])", "xc_sandbox, f").replace(
            "import see",
            "import see\n\n@pytest.fixture\ndef f(subtests, xc_sandbox):\n    yield\n    with subtests.test():\n"
            "        see(xc_sandbox)\n",
        ),
    ),
    Way(
        "subtest skipped",
        (),
        ("not_tested", "later"),
        one=marked(
            "",
            "xc_sandbox.run(['x'])\nwith subtests.test():\n    pytest.skip('later')\nsee(xc_sandbox)",
            "xc_sandbox, subtests",
        ),
    ),
    Way(
        "parameters",
        (),
        one=marked(
            "@pytest.mark.parametrize('a', [1, 2])",
            "xc_sandbox.run(['x'])\na == 1 and see(xc_sandbox)",
            "xc_sandbox, a",
        ),
    ),
    Way(
        "-k over parameters",
        ("-k", "not bad"),
        ("not_tested", "deselected: by -k"),
        one=marked(
            "@pytest.mark.parametrize('a', ['bad', 'good'])",
            "xc_sandbox.run(['x'])\na == 'bad' and see(xc_sandbox)",
            "xc_sandbox, a",
        ),
    ),
    Way(
        "ids like platforms",
        (),
        one=marked(
            f"@pytest.mark.parametrize('a', ['x', 'x-{PLATFORM}', '{PLATFORM}'])",
            "xc_sandbox.run(['x'])\na == 'x' and see(xc_sandbox)",
            "xc_sandbox, a",
        ),
    ),
    Way(
        "strange ids",
        (),
        one=marked(
            "@pytest.mark.parametrize('a', ['x::y', 'p[q]', '', 'a/b', '名字'])",
            "xc_sandbox.run(['x'])\na == 'p[q]' and see(xc_sandbox)",
            "xc_sandbox, a",
        ),
    ),
    Way(
        "one id twice",
        (),
        one=marked(
            "@pytest.mark.parametrize('a', [1, 2], ids=['z', 'z'])",
            "xc_sandbox.run(['x'])\na == 1 and see(xc_sandbox)",
            "xc_sandbox, a",
        ),
    ),
    Way(
        "equal names in classes",
        (),
        one="""
        import pytest
        from product import see
        class TestOld:
            @pytest.mark.xc_requirement("ACME-001")
            def test_one(self, xc_sandbox): see(xc_sandbox)
        class TestNew:
            @pytest.mark.xc_requirement("ACME-001")
            def test_one(self, xc_sandbox): xc_sandbox.run(["x"])
        """,
    ),
    Way(
        "equal names in files",
        (),
        files={
            "deep/__init__": "",
            "deep/test_one": """
        import pytest
        @pytest.mark.xc_requirement("ACME-001")
        def test_one(xc_sandbox): xc_sandbox.run(["x"])
        """,
        },
    ),
    Way(
        "a part by another name",
        (),
        one="""
        import pytest
        from product import see
        @pytest.mark.xc_requirement("ACME-001")
        def test_one(xc_sandbox): see(xc_sandbox)
        @pytest.mark.xc_requirement("ACME-001")
        def test_one_more(xc_sandbox): xc_sandbox.run(["x"])
        """,
    ),
    # How it asks for its sandbox.
    Way("getfixturevalue", (), one=marked("", "see(request.getfixturevalue('xc_sandbox'))", "request")),
    Way(
        "a fixture around it",
        (),
        one=within("@pytest.fixture\n    def box(xc_sandbox): return xc_sandbox\n").replace(
            "test_one(xc_sandbox):\n        see(xc_sandbox)", "test_one(box):\n        see(box)"
        ),
    ),
    Way("no sandbox", (), (HOST, "no evidence"), one=marked("", "import product\nclass S: run = print\nsee(S())", "")),
    Way(
        "usefixtures",
        (),
        (HOST, "no evidence"),
        one=marked("@pytest.mark.usefixtures('xc_sandbox')", "class S: run = print\nsee(S())", ""),
    ),
    Way(
        "unittest",
        (),
        one="""
        import unittest, pytest
        from product import see
        class T(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def _s(self, xc_sandbox): self.box = xc_sandbox
            @pytest.mark.xc_requirement("ACME-001")
            def test_one(self): see(self.box)
        """,
    ),
    Way(
        "unittest subTest",
        (),
        one="""
        import unittest, pytest
        from product import see
        class T(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def _s(self, xc_sandbox): self.box = xc_sandbox
            @pytest.mark.xc_requirement("ACME-001")
            def test_one(self):
                self.box.run(["x"])
                for i in range(3):
                    with self.subTest(i=i):
                        if i == 1: see(self.box)
        """,
    ),
    Way(
        "unittest skip",
        (),
        ("not_tested", "skipped: later"),
        one="""
        import unittest, pytest
        from product import see
        class T(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def _s(self, xc_sandbox): self.box = xc_sandbox
            @pytest.mark.xc_requirement("ACME-001")
            @unittest.skip("later")
            def test_one(self): see(self.box)
        """,
    ),
    Way(
        "unittest expectedFailure",
        (),
        (HOST, ""),
        one="""
        import unittest, pytest
        from product import see
        class T(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def _s(self, xc_sandbox): self.box = xc_sandbox
            @pytest.mark.xc_requirement("ACME-001")
            @unittest.expectedFailure
            def test_one(self): see(self.box)
        """,
    ),
    # What is run again, apart, or in another order.
    Way("the same file twice", ("test_one.py", "test_one.py", "test_two.py")),
    Way("--keep-duplicates", ("--keep-duplicates", "test_one.py", "test_one.py", "test_two.py")),
    Way("reruns", ("--reruns", "1"), plugins=("pytest_rerunfailures",)),
    Way("reruns by mark", (), plugins=("pytest_rerunfailures",), one=marked("@pytest.mark.flaky(reruns=2)")),
    Way("flaky", (), plugins=("flaky.flaky_pytest_plugin",), one=marked("@pytest.mark.flaky(max_runs=2)")),
    Way("--force-flaky", ("--force-flaky", "--max-runs=2"), plugins=("flaky.flaky_pytest_plugin",)),
    Way("retry", (), plugins=("pytest_retry.retry_plugin",), one=marked("@pytest.mark.flaky(retries=1)")),
    Way("--retries", ("--retries", "1"), plugins=("pytest_retry.retry_plugin",)),
    Way("repeat", ("--count=2",), plugins=("pytest_repeat",)),
    Way("repeat by mark", (), plugins=("pytest_repeat",), one=marked("@pytest.mark.repeat(2)")),
    Way("timeout", ("--timeout=60",), plugins=("pytest_timeout",)),
    Way(
        "timeout is over",
        (),
        (HOST, "pytest_timeout ended the test"),
        plugins=("pytest_timeout",),
        one=marked("@pytest.mark.timeout(0.2)", "import time; time.sleep(2)\nsee(xc_sandbox)"),
    ),
    # pytest-forked 1.7.5 breaks every test under pytest 9.2, with us and without.
    Way("forked", ("--forked",), ("pass|not_tested", "^$|something ended the run"), plugins=("pytest_forked",)),
    Way(
        "the first of two",
        ("--splits=2", "--group=2"),
        ("not_tested", "by --splits|by a plugin"),
        plugins=("pytest_split.plugin",),
    ),
    Way("random order", ("--randomly-seed=7",), plugins=("pytest_randomly",)),
    Way("order", (), plugins=("pytest_order.plugin",), one=marked("@pytest.mark.order(-1)")),
    Way(
        "asyncio",
        (),
        plugins=("pytest_asyncio.plugin",),
        ini="asyncio_mode = auto\nasyncio_default_fixture_loop_scope = function",
        one=ONE.replace("def test_one", "async def test_one"),
    ),
    Way(
        "async without its plugin",
        (),
        (HOST, "pytest ended the test: async def functions"),
        one=ONE.replace("def test_one", "async def test_one"),
    ),
    Way(
        "bdd",
        (),
        plugins=("pytest_bdd.plugin",),
        one="""
        import pytest
        from pytest_bdd import scenario, when
        from product import see
        @pytest.mark.xc_requirement("ACME-001")
        @scenario("a.feature", "says it")
        def test_one(): pass
        @when("I look")
        def _(xc_sandbox): see(xc_sandbox)
        """,
        files={"a.feature": "Feature: a\n  Scenario: says it\n    When I look\n"},
    ),
]

WORKERS = (
    "nothing",
    "deselect",
    "--lf",
    "skip",
    "subtests",
    "equal names in classes",
    "importorskip",
    "unittest subTest",
    "reruns",
)


def repository(pytester: pytest.Pytester, way: Way, how: str) -> None:
    """A vendor's repository, with what the way needs."""
    vendor(pytester, how)
    pytester.makepyfile(test_one=way.one or ONE, test_two=TWO)
    pytester.makeini(f"[pytest]\nmarkers = later\n{way.ini}\n")
    for name, text in way.files.items():
        if name == "conftest+":
            conftest = pytester.path / "conftest.py"
            conftest.write_text(conftest.read_text(encoding="utf-8") + "\n" + text + "\n", encoding="utf-8")
            continue
        path = pytester.path / (name if "." in name else f"{name}.py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")


def run(pytester: pytest.Pytester, way: Way, *arguments: str) -> Came:
    plugins = [word for plugin in way.plugins for word in ("-p", plugin)]
    return came(pytester, pytester.runpytest_inprocess(*PLUGIN, *plugins, *OPTIONS, *arguments, no_reraise_ctrlc=True))


def tried(pytester: pytest.Pytester, way: Way, how: str, *arguments: str) -> Came:
    if "subtests" in way.one and not hasattr(pytest, "Subtests"):
        pytest.skip("pytest 9 brought subtests")
    missing = [plugin for plugin in way.plugins if importlib.util.find_spec(plugin.partition(".")[0]) is None]
    if missing:
        pytest.skip(f"{missing[0]} is not installed")
    repository(pytester, way, how)
    if way.before is not None:
        run(pytester, way, *way.before)
        (pytester.path / ".xc/report.json").unlink(missing_ok=True)
    found = run(pytester, way, *way.arguments, *arguments)
    assert "INTERNALERROR" not in found.output, found.output
    return found


@pytest.fixture(autouse=True)
def _ours_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_a_good_product_is_never_worse_untold(pytester: pytest.Pytester, way: Way) -> None:
    found = tried(pytester, way, "passes")
    verdict, reason = (way.good, "") if isinstance(way.good, str) else way.good
    assert re.fullmatch(verdict, found.verdicts.get("ACME-001", "")), found
    assert re.search(reason, found.reasons.get("ACME-001", "")), found
    assert (found.level == "L2") == (found.verdicts.get("ACME-001") == "pass"), found


@pytest.mark.parametrize("how", ["fails", "errs"])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_a_bad_product_is_never_better(pytester: pytest.Pytester, way: Way, how: str) -> None:
    found = tried(pytester, way, how)
    assert found.verdicts.get("ACME-001", "") in ("fail", "inconclusive", "not_tested", ""), found
    assert found.level in (None, "L0"), found


@pytest.mark.parametrize("how", ["passes", "fails"])
@pytest.mark.parametrize("way", [way for way in WAYS if way.name in WORKERS], ids=lambda way: way.name)
def test_it_is_the_same_with_workers(pytester: pytest.Pytester, way: Way, how: str) -> None:
    found = tried(pytester, way, how, "-p", "xdist.plugin", "-n2")
    verdict, reason = (way.good, "") if isinstance(way.good, str) else way.good
    if how == "passes":
        assert found.verdicts.get("ACME-001", "") == verdict, found
        assert re.search(reason, found.reasons.get("ACME-001", "")), found
    else:
        assert found.verdicts.get("ACME-001", "") in ("fail", "inconclusive", "not_tested"), found
        assert found.level in (None, "L0"), found


REPEATING = ("reruns", "reruns by mark", "flaky", "--force-flaky", "retry", "--retries")


@pytest.mark.parametrize("name", ["nothing", *REPEATING])
@pytest.mark.parametrize("workers", [(), ("-p", "xdist.plugin", "-n2")], ids=["here", "workers"])
def test_a_product_that_recovers_is_flaky(pytester: pytest.Pytester, name: str, workers: tuple[str, ...]) -> None:
    """Whichever way a plugin repeats a test, and whether it reports its earlier attempts or keeps them back."""
    if workers and "retr" in name:
        pytest.skip("pytest-retry finds xdist by its entry point alone, which is not loaded here")
    found = tried(pytester, next(way for way in WAYS if way.name == name), "recovers", *workers)
    report = report_of(pytester)
    assert report is not None
    told = next(r for r in report["requirements"] if r["id"] == "ACME-001")
    expected = ("fail", False, 1) if name == "nothing" else ("pass", True, 2)
    assert (told["verdict"], told["flaky"], told["attempts"]) == expected, found
