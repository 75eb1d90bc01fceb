"""Options made from parameter models."""

from typing import Annotated, Literal

import pytest
import typer
from pydantic import Field, PositiveFloat

from chemtomo.cli import app
from chemtomo.cli.options import with_model_options
from chemtomo.parameters import Parameters, Range
from chemtomo.recon import ReconstructParameters


class Toy(Parameters):
    speed: float = Field(1.5, gt=0, description="How fast [m/s].")
    many_turns: int = 3
    shape: Literal["round", "flat"] = "round"
    sides: Literal[2, 3] = 3
    loud: bool = False
    rows: Range | None = None
    columns: Literal["all"] | Range = "all"
    weights: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    limit: float | None = None
    force: PositiveFloat | Literal["auto"] = 1.0
    shares: dict[str, PositiveFloat] | Literal["auto"] = Field(default_factory=dict)


@pytest.fixture
def parse():
    """Give the model that a command gets from command line arguments."""
    made = []

    @with_model_options
    def command(files: list[str], toy: Toy, extra: int = 7) -> None:
        made.append((files, toy, extra))

    toy_app = typer.Typer()
    toy_app.command()(command)

    def call(*arguments):
        toy_app(["file", *arguments], standalone_mode=False)
        assert made[-1][0] == ["file"]
        assert made[-1][2] == 7
        return made[-1][1]

    return call


def test_without_options_a_model_has_its_defaults(parse):
    assert parse() == Toy()


@pytest.mark.parametrize(
    ("arguments", "changes"),
    [
        (["--speed", "2"], {"speed": 2.0}),
        (["--force", "2.5"], {"force": 2.5}),
        (["--force", "auto"], {"force": "auto"}),
        (["--shares", "auto"], {"shares": "auto"}),
        (["--shares", "Al=2", "--shares", "Si=0.5"], {"shares": {"Al": 2.0, "Si": 0.5}}),
        (["--many-turns", "9"], {"many_turns": 9}),
        (["--shape", "flat"], {"shape": "flat"}),
        (["--sides", "2"], {"sides": 2}),
        (["--loud"], {"loud": True}),
        (["--loud", "--no-loud"], {"loud": False}),
        (["--rows", "4:9"], {"rows": (4, 9)}),
        (["--columns", "0:10"], {"columns": (0, 10)}),
        (["--columns", "all"], {}),
        (["--weights", "a=1", "--weights", "b=c=2.5"], {"weights": {"a": 1.0, "b=c": 2.5}}),
        (["--limit", "0.1"], {"limit": 0.1}),
    ],
)
def test_options_become_fields(parse, arguments, changes):
    assert parse(*arguments) == Toy(**changes)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--speed", "-2"], "--speed: found -2.0; input should be greater than 0"),
        (["--force", "-2"], "--force: found -2.0; input should be greater than 0"),
        (["--rows", "4"], "--rows: found '4'; expected START:STOP"),
        (["--columns", "some"], "--columns: found 'some'; expected all, START:STOP"),
        (["--weights", "a"], "--weights: found 'a'; expected NAME=VALUE"),
        (["--weights", "=1"], "--weights: found '=1'; expected NAME=VALUE"),
        (["--weights", "a=b"], "--weights: found 'a=b'; expected NAME=VALUE"),
        (["--weights", "a=0"], "--weights a: found 0.0"),
        (["--weights", "a=1", "--weights", "a=2"], "'a' twice"),
    ],
)
def test_what_the_model_refuses_is_a_usage_error(parse, arguments, said):
    with pytest.raises(typer.BadParameter) as caught:
        parse(*arguments)
    assert said in str(caught.value)
    assert "literal" not in str(caught.value)


def test_every_parameter_is_an_option_with_its_default_and_help():
    command = typer.main.get_command(app).commands["reconstruct"]
    options = {option.name: option for option in command.params}
    for model in (ReconstructParameters,):
        for name, field in model.offered().items():
            option = options[name]
            assert "--" + name.replace("_", "-") in option.opts
            assert option.help == field.description
            default = field.get_default(call_default_factory=True)
            assert str(option.default) == str(default or option.default)
