"""Checks our answers to questions about scopes, as `scope_cases.rs` writes them to its output, by the Python client."""

import collections
import json
import sys

from taskcluster.utils import scopeMatch

answers = collections.Counter()
for number, line in enumerate(sys.stdin, 1):
    case = json.loads(line)
    satisfied = scopeMatch(case["held"], case["needed"])
    if satisfied != case["satisfied"]:
        sys.exit(f"case {number}: the Python client says {satisfied}, not so {line}")
    answers[satisfied] += 1

# Cases of one kind only would say little.
total = sum(answers.values())
if min(answers[True], answers[False]) < 20_000 or total != 100_000:
    sys.exit(f"these cases are not what they should be: {answers}")
print(f"python: {answers[True]} of {total} scope questions are answered by yes, as we do")
