"""The table of porting failures as a document, in either language."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_xinchuang.core.finding import FindingCatalogue
from pytest_xinchuang.core.porting import PortingRow

WAYS = {
    "en": {
        "S": "static",
        "E": "emulated run",
        "H": "table of facts",
        "D": "difference from x86-64",
        "F": "system's identity",
        "R": "board",
    },
    "zh": {
        "S": "静态",
        "E": "模拟运行",
        "H": "事实表",
        "D": "与 x86-64 的差别",
        "F": "系统身份",
        "R": "真机",
    },
}

HEADS = {
    "en": """# Porting failures, and how each is found

Made from `conformance/porting.yaml` and each `findings.yaml` below `conformance/` by `xc explain --porting`; do not edit it by
hand.

These are failures that people have reported on Kunpeng, Phytium, Hygon, Zhaoxin and Loongson machines. Each is found by a
finding of `xc inspect` or of a run (`xc explain CODE` tells more), or by a requirement of the grade. **needs native** marks
what only a board or a kernel of the platform decides, and says what to run there. `tests/mutants/porting/` plants each failure
that can be found without a board, and its twin that is right.
""",
    "zh": """# 移植故障及其发现方法

由 `xc explain --porting --language zh` 根据 `conformance/porting.yaml` 与 `conformance/` 下各
`findings.yaml` 生成，请勿手工修改。

这些是用户在鲲鹏、飞腾、海光、兆芯、龙芯机器上报告过的故障。“发现”一栏是 `xc inspect` 或运行中的发现
（详见 `xc explain CODE`），或等级中的要求。**needs native** 表示只有真机或该平台的内核才能判定，
并写明在那里运行什么。`tests/mutants/porting/` 中有每个无需真机即可发现的故障的最小样例，以及正确的对照。
""",
}
LABELS = {
    "en": ("found by", "finding", "requirement", "mend", "needs native", "reported in"),
    "zh": ("方式", "发现", "要求", "修正", "needs native", "来源"),
}


def as_markdown(rows: Sequence[PortingRow], findings: FindingCatalogue, language: str) -> str:
    """A section for each failure."""
    by, finding, requirement, mend, native, reported = LABELS[language]
    parts = [HEADS[language]]
    for row in rows:
        lines = [f"## {row.number}. {getattr(row.title, language)}", ""]
        lines.append(f"- {by}: {', '.join(WAYS[language][way] for way in row.ways)}")
        for code in row.codes:
            lines.append(f"- {finding} `{code}`: {getattr(findings.get(code).title, language)}")
        if row.requirements:
            lines.append(f"- {requirement}: {', '.join(f'`{r}`' for r in row.requirements)}")
        lines.append(f"- {mend}: {getattr(row.mend, language)}")
        if row.native is not None:
            lines.append(f"- **{native}**: {getattr(row.native, language)}")
        lines.append(f"- {reported}: {', '.join(row.references)}")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)
