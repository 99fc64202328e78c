"""Qwen3 (`Qwen3ForCausalLM`): preset=qwen3. LLaMA's names; queries and keys are normed."""

from tests.contracts.hugging_face.convert.llama import convert

__all__ = ["convert"]
