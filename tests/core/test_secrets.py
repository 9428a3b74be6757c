from __future__ import annotations

import pytest

from pytest_xinchuang.core.secrets import Redactor

ENVIRONMENT = {
    "PYPI_TOKEN": "pypi-AgEIcHlwaS5vcmc",
    "PASSWORD": "short",
    "PATH": "/usr/bin",
    "API_KEY": "0123456789abcdef",
}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("--xc-proxy=https://user:secret@host/x", "--xc-proxy=https://***@host/x"),
        ("https://token@host", "https://***@host"),
        ("fetch git+ssh://git:p%40ss@host:22/x failed", "fetch git+ssh://***@host:22/x failed"),
        ("https://proxy.example/mod/@v/list", "https://proxy.example/mod/@v/list"),
        ("github.com/x/y@v1.2.3", "github.com/x/y@v1.2.3"),
        ("says 0123456789abcdef!", "says ***!"),
        ("https://host/x?a=1&access_token=abc&b=2", "https://host/x?a=1&access_token=***&b=2"),
        ("https://host/x?X-Amz-Signature=0f&y=1 failed", "https://host/x?X-Amz-Signature=***&y=1 failed"),
        ("https://host/x#token=abc", "https://host/x#token=***"),
        ("https://host/tokens?page=2", "https://host/tokens?page=2"),
        ("a short word", "a short word"),
        ("", ""),
    ],
)
def test_secrets_are_taken_out_of_texts(text: str, kept: str) -> None:
    assert Redactor(ENVIRONMENT).text(text) == kept


@pytest.mark.parametrize(
    ("argv", "kept"),
    [
        (["pytest", "--token=abc", "-q"], ["pytest", "--token=***", "-q"]),
        (["pytest", "--db-password", "abc", "x"], ["pytest", "--db-password", "***", "x"]),
        (["pytest", "-o", "api_token=abc"], ["pytest", "-o", "api_token=***"]),
        (["pytest", "--override-ini=api_token=abc"], ["pytest", "--override-ini=api_token=***"]),
        (["pytest", "-k", "not token and x==1"], ["pytest", "-k", "not token and x==1"]),
        (["pytest", "tests/test_token.py"], ["pytest", "tests/test_token.py"]),
        (["pytest", "tests/test_x.py::test[a=b]"], ["pytest", "tests/test_x.py::test[a=b]"]),
        (["--log-file=https://u:p@h/x?token=abc"], ["--log-file=https://***@h/x?token=***"]),
        (["pytest", "--api-key", "-q"], ["pytest", "--api-key", "-q"]),
        (["pytest", "--xc-mirror-key=mirror.pub"], ["pytest", "--xc-mirror-key=mirror.pub"]),
        (["--xc-proxy", "https://u:p@h,https://v:q@i"], ["--xc-proxy", "https://***@h,https://***@i"]),
        ([], []),
    ],
)
def test_secrets_are_taken_out_of_command_lines(argv: list[str], kept: list[str]) -> None:
    assert list(Redactor(ENVIRONMENT).argv(argv)) == kept


def test_secrets_are_taken_out_of_data() -> None:
    data = {"argv": ["curl", "https://u:p@h"], "n": 3, "none": None, "deep": [{"x": "pypi-AgEIcHlwaS5vcmc"}]}
    assert Redactor(ENVIRONMENT).data(data) == {
        "argv": ["curl", "https://***@h"],
        "n": 3,
        "none": None,
        "deep": [{"x": "***"}],
    }
