"""What the release before lacks is still where `previous.py` takes it from; to install it takes a minute, this none."""

import ast

from tests.deployment.environments import ROOT
from tests.deployment.previous import changed


def test_each_file_that_was_otherwise_is_there_and_python_without_what_came_since() -> None:
    for path, text in changed():
        assert ast.dump(ast.parse(text)) != ast.dump(ast.parse((ROOT / path).read_text())), path
