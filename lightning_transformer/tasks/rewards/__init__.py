"""Rewards: how good an answer is; config group reward of task=reward."""
