"""Qwen3 (`Qwen3ForCausalLM`): preset=qwen3. LLaMA's names; queries and keys are normed."""

from lightning_transformer.convert.llama import convert

__all__ = ["convert"]
