from pydantic import Field, create_model

from stereodistill.engine.recipe import LoopSpec
from stereodistill.engine.stages import load_recipe, parse_recipe


def test_a_run_outlives_options_that_come_later(tiny_recipe):
    recipe = tiny_recipe(steps=3)
    later_loop = create_model("LaterLoop", __base__=LoopSpec, later=(int, 4))
    later = create_model("Later", __base__=type(recipe), loop=(later_loop, Field()), cite=(str, "found since"))
    values = recipe.model_dump()
    assert later(**values).hash == recipe.hash
    assert later(**{**values, "loop": {**values["loop"], "later": 5}}).hash != recipe.hash


def test_another_stage_network_or_number_is_another_recipe(tiny_recipe):
    recipe = tiny_recipe(steps=3)
    values = recipe.model_dump(mode="json")
    assert parse_recipe(values).hash == recipe.hash
    others = [
        recipe,
        tiny_recipe(steps=4),
        parse_recipe({**values, "model": {**values["model"], "name": "psmnet", "options": {}}}),
        parse_recipe({**values, "optimizer": {**values["optimizer"], "name": "muon"}}),
        load_recipe("lite_stereo"),
        load_recipe("fit", ["data.path=x", "data.labels=y"]),
        load_recipe("fit", ["data.path=x", "data.labels=y", "stage=supervised_mono"]),
    ]
    assert len({other.hash for other in others}) == len(others)
