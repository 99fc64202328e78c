"""The contract of policies, and what several of them compute."""

from abc import ABC, abstractmethod

from torch import Tensor

STD_EPS = 1e-4  # added to the deviation of a group, which may be 0
MAX_LOG_RATIO = 10.0  # to which the logarithm in k3 is held: exp(10) = 22026


class Policy(ABC):
    """How answers and their rewards become a loss.

    compares: whether it judges an answer by the other answers to its prompt, so that there must be
    several, and that differ. n_updates: optimizer steps that learn from the same answers.
    """

    compares: bool = True
    n_updates: int = 1

    @abstractmethod
    def advantages(self, rewards: Tensor) -> Tensor:
        """Rewards (P, G) of G answers to each of P prompts -> how much better each was (P, G)."""

    @abstractmethod
    def losses(self, now: Tensor, then: Tensor, advantages: Tensor, scored: Tensor) -> Tensor:
        """The loss of each answer (R,), whose mean over the step is minimised.

        now: (R, T) log-probabilities of the tokens of R answers, with a gradient. then: (R, T)
        those of the model that wrote them, which are `now` at the first update. advantages: (R,).
        scored: (R, T) bool, which places are tokens of the answer; both are 0 elsewhere.
        """


def group_scores(rewards: Tensor) -> Tensor:
    """(r - mean) / (std + 1e-4) over the answers to each prompt, (P, G); std with G - 1."""
    return (rewards - rewards.mean(dim=1, keepdim=True)) / (
        rewards.std(dim=1, keepdim=True) + STD_EPS
    )


def token_mean(values: Tensor, scored: Tensor) -> Tensor:
    """The mean over the scored places of each row, (R, T) -> (R,); 0 of a row without any."""
    return (values * scored).sum(dim=1) / scored.sum(dim=1).clamp(min=1)


def k3(now: Tensor, reference: Tensor) -> Tensor:
    """exp(d) - d - 1 with d = reference - now, held to [-10, 10]; in float32 at least, as both are.

    An estimate of KL(now || reference) from tokens drawn by now; never negative (Schulman 2020).
    """
    ratio = (reference - now).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)
    return ratio.exp() - ratio - 1
