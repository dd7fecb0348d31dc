"""A provider sets limits and prices of what rents there, and nothing else."""

from __future__ import annotations

import pytest

from simlora.errors import SimloraError
from simlora.results.prices import list_prices
from simlora.study.experiment import read_study
from simlora.study.grid import build_grid
from simlora.study.overrides import parse_setting
from simlora.study.providers import list_providers
from simlora.study.systems import load_prices


def study_of(folder, provider, *settings):
    folder.edit("experiment.toml", "seeds = 2", f'seeds = 2\nprovider = "{provider}"')
    return read_study(folder.file, [parse_setting(text) for text in settings])


def configs(study):
    return {cell.system: cell.config for cell in build_grid(study).cells}


def test_shipped_presets_name_shipped_price_lists():
    shipped = list_prices()
    assert len(list_providers()) >= 3
    assert all(one.price is None or shipped[one.price].kind == "serverless" for one in list_providers().values())


def test_limits_and_time_out_of_what_rents(folder):
    found = configs(study_of(folder, "runpod-flex"))
    for name in ("serverless-lora", "mine", "no sharing"):
        assert found[name].keepalive == {"policy": "fixed", "idle_s": 5.0}
        assert found[name].limits.instances_per_function == 3
    assert found["vllm"].keepalive == {"policy": "forever"}
    assert found["vllm"].limits.instances_per_function is None


def test_its_price_list_comes_first_and_suffices(folder):
    folder.edit("experiment.toml", '"alibaba-fc-2024-08", ', "")
    study = study_of(folder, "runpod-flex")
    titles = [price.title for price in load_prices(study.experiment, study.document)]
    assert titles[0].startswith("RunPod")
    assert len(titles) == 2
    build_grid(study)


def test_what_the_file_says_itself_wins(folder):
    folder.edit("experiment.toml", "depth = 2 }", "depth = 2 }\nkeepalive = { idle_s = 9.0 }")
    found = configs(study_of(folder, "modal", "system.serverless-lora.keepalive=none"))
    assert found["mine"].keepalive == {"policy": "fixed", "idle_s": 9.0}
    assert found["serverless-lora"].keepalive == {"policy": "none"}
    assert found["no sharing"].keepalive["idle_s"] == 9.0


def test_one_of_ones_own(folder):
    (folder.path / "mine.toml").write_text(
        'title = "M"\nlabel = "assumption"\nsource = "me"\nvalid = "here"\nidle_timeout_s = 7\n'
    )
    assert configs(study_of(folder, "mine.toml"))["mine"].keepalive["idle_s"] == 7


@pytest.mark.parametrize(
    ("provider", "settings", "fragments"),
    [
        ("runpod", (), ["experiment.toml:2", 'no provider named "runpod"', 'did you mean "runpod-flex"']),
        ("modal", ("provider=modal,runpod-flex",), ["provider", "can't be swept"]),
        ("mine.toml", (), ["experiment.toml:2", "mine.toml", "No such file"]),
        ("azure-container-apps", ("prices=ec2-on-demand-2026",), ["serverless systems need"]),
    ],
)
def test_bad_providers_are_named(folder, provider, settings, fragments):
    with pytest.raises(SimloraError) as found:
        build_grid(study_of(folder, provider, *settings))
    for fragment in fragments:
        assert fragment in str(found.value)


def test_neither_provider_nor_prices(folder):
    folder.edit("experiment.toml", '["alibaba-fc-2024-08", "ec2-on-demand-2026"]', "[]")
    with pytest.raises(SimloraError, match="prices: at least one price list, or a provider"):
        read_study(folder.file)
