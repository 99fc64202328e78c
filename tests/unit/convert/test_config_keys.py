"""Every key of a config.json is read, without effect, or refused."""

from __future__ import annotations

from typing import Any

import pytest

from lightning_transformer.convert.config_keys import Keys
from lightning_transformer.convert.model_folder import family, family_names
from tests.helpers.model_folders import MODELS, config_of


def test_an_unknown_key_is_refused_and_a_missing_one_too() -> None:
    keys = Keys({"model_type": "x", "size": 3, "odd": 1}, path="f/config.json")
    assert keys.take("size") == 3
    with pytest.raises(ValueError, match=r"^f/config.json: odd=1 is a key that this version does"):
        keys.end()
    with pytest.raises(ValueError, match=r"^f/config.json has no width"):
        keys.take("width")
    keys.without_effect("odd")
    keys.end()


def test_a_value_without_a_counterpart_is_refused() -> None:
    keys = Keys({"bias": True})
    with pytest.raises(ValueError, match=r"bias=True has no counterpart here; only false or null"):
        keys.only("bias", False, None)


def test_the_twelve_families_are_those_on_disk() -> None:
    assert sorted(MODELS) == family_names()
    assert len(MODELS) == 12


@pytest.mark.parametrize("name", MODELS)
def test_every_key_that_the_library_writes_is_known(name: str) -> None:
    content: dict[str, Any] = config_of(name).to_dict()
    keys = Keys(content)
    sizes = family(name).sizes(keys)
    keys.end()
    assert sizes["model.d_model"] == 32
    keys = Keys(content | {"new_key": 1})
    family(name).sizes(keys)
    with pytest.raises(ValueError, match=r"new_key=1"):
        keys.end()


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("bert", "hidden_act", "mish"),
        ("bert", "position_embedding_type", "relative_key"),
        ("llama", "mlp_bias", True),
        ("llama", "rope_parameters", {"rope_type": "dynamic", "rope_theta": 1e4}),
        ("qwen3", "layer_types", ["sliding_attention", "full_attention"]),
        ("gemma2", "layer_types", ["full_attention", "full_attention"]),
        ("gpt2", "scale_attn_by_inverse_layer_idx", True),
        ("bart", "scale_embedding", True),
        ("t5", "feed_forward_proj", "gated-relu"),
        ("mamba2", "time_step_limit", [0.1, 1.0]),
        ("deepseek_v2", "topk_method", "group_limited_greedy"),
        ("deepseek_v2", "intermediate_size", 96),
    ],
)
def test_what_would_be_computed_otherwise_is_refused(name: str, key: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{key.split('_')[0]}"):
        family(name).sizes(Keys(config_of(name).to_dict() | {key: value}))
