"""Policy gradients: what task=reward learns from answers and their rewards; config group policy."""
