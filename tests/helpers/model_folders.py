"""Small models in the format of Hugging Face, with weights and tokens made on the spot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<s>", "</s>"]
TEXT = "the quick brown fox jumps over a lazy dog and def return import class of"
WORDS = [*SPECIAL, *sorted({*TEXT.split(), *"abcdefghijklmnopqrstuvwxyz.,_()"})]
N_ROWS = 72  # of a table: more than there are tokens, as in models whose tables are rounded up
SEQ_LEN = 24

COMMON: dict[str, Any] = {"vocab_size": N_ROWS, "pad_token_id": 0}
ENCODER = {
    **COMMON,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": SEQ_LEN,
}
DECODER = {
    **ENCODER,
    "num_key_value_heads": 2,
    "bos_token_id": 5,
    "eos_token_id": 6,
    "intermediate_size": 48,
}
# Family to the class of its whole model and the keys of its configuration.
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("BertForMaskedLM", {**ENCODER, "hidden_dropout_prob": 0.0}),
    "roberta": (
        "RobertaForMaskedLM",
        {
            **ENCODER,
            "max_position_embeddings": SEQ_LEN + 2,
            "pad_token_id": 1,
            "type_vocab_size": 1,
        },
    ),
    "gpt2": (
        "GPT2LMHeadModel",
        {"vocab_size": N_ROWS, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": SEQ_LEN}
        | {"bos_token_id": 5, "eos_token_id": 6},
    ),
    "llama": (
        "LlamaForCausalLM",
        {**DECODER, "rope_parameters": {"rope_type": "default", "rope_theta": 20000.0}},
    ),
    "mistral": ("MistralForCausalLM", {**DECODER, "sliding_window": 7}),
    "qwen3": ("Qwen3ForCausalLM", {**DECODER, "head_dim": 16, "tie_word_embeddings": True}),
    "olmo2": ("Olmo2ForCausalLM", DECODER),
    "gemma2": (
        "Gemma2ForCausalLM",
        {**DECODER, "head_dim": 16, "query_pre_attn_scalar": 24, "sliding_window": 7}
        | {"attn_logit_softcapping": 3.0, "final_logit_softcapping": 5.0},
    ),
    "mamba2": (
        "Mamba2ForCausalLM",
        {**COMMON, "hidden_size": 32, "num_hidden_layers": 2, "num_heads": 4, "head_dim": 16}
        | {"state_size": 8, "n_groups": 2, "chunk_size": 8, "residual_in_fp32": False}
        | {"bos_token_id": 5, "eos_token_id": 6},
    ),
    "deepseek_v2": (
        "DeepseekV2ForCausalLM",
        {**DECODER, "num_key_value_heads": 4, "moe_intermediate_size": 16, "intermediate_size": 48}
        | {"n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1, "n_group": 1}
        | {"topk_group": 1, "first_k_dense_replace": 1, "q_lora_rank": None, "kv_lora_rank": 12}
        | {"qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 20},
    ),
    "t5": (
        "T5ForConditionalGeneration",
        {**COMMON, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
        | {"relative_attention_num_buckets": 8, "relative_attention_max_distance": 20}
        | {"eos_token_id": 6, "decoder_start_token_id": 0},
    ),
    "bart": (
        "BartForConditionalGeneration",
        {**COMMON, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2}
        | {"encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 64}
        | {"decoder_ffn_dim": 64, "max_position_embeddings": SEQ_LEN, "bos_token_id": 5}
        | {"eos_token_id": 6, "decoder_start_token_id": 6, "forced_eos_token_id": None},
    ),
}


def config_of(name: str, **changes: Any) -> Any:
    """A small configuration of a family."""
    kind, keys = MODELS[name]
    config_class = getattr(transformers, kind).config_class
    return config_class(**keys | changes)


def model_of(name: str, kind: str | None = None, seed: int = 0, **changes: Any) -> Any:
    """A model in float32 with weights at which every part is heard. kind: another class."""
    torch.manual_seed(seed)
    model = getattr(transformers, kind or MODELS[name][0])(config_of(name, **changes)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            std, mean = (0.2, 0.0) if parameter.ndim > 1 else (0.1, parameter.mean())
            parameter.copy_(mean + std * torch.randn(parameter.shape))
        for key, buffer in model.named_buffers():
            if key.endswith("final_logits_bias"):
                buffer.copy_(torch.randn(buffer.shape))
    return model


def word_pieces(
    *, around: tuple[str, str] | None = ("[CLS]", "[SEP]"), n_marks: int = 0
) -> tokenizers.Tokenizer:
    """A tokenizer of words and letters; around: what its post-processor puts at the ends.

    n_marks: special tokens <extra_id_0> and so on, the first with the highest id, as in T5.
    """
    pieces = {word: number for number, word in enumerate(WORDS)}
    pieces |= {f"##{c}": len(pieces) + n for n, c in enumerate("aeiounrst")}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(pieces, unk_token="[UNK]"))
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = tokenizers.decoders.WordPiece()
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.add_special_tokens([f"<extra_id_{i}>" for i in reversed(range(n_marks))])
    if around is not None:
        ends = [(text, tokenizer.token_to_id(text)) for text in around]
        tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
            single=f"{around[0]} $A {around[1]}", special_tokens=ends
        )
    return tokenizer


def save(model: Any, folder: Path, **tokens: Any) -> Path:
    """A folder as save_pretrained writes it, with a tokenizer."""
    model.save_pretrained(folder)
    word_pieces(**tokens).save(str(folder / "tokenizer.json"))
    return folder


def edit(folder: Path, **keys: Any) -> None:
    """Change keys of a config.json."""
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | keys))
