"""The claims: what is asked, where it comes from, what is typed, and what the numbers say."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """One comparison. metrics: shown besides the one that is compared."""

    question: str
    claim: str
    typed: tuple[str, ...]
    reading: str
    metrics: tuple[str, ...] = ()


CLAIMS = {
    "order": Claim(
        "Does an encoder need to be told positions?",
        "Attention without positions sees a set, not a sequence (Vaswani et al. 2017).",
        ("experiment=order", "position=rope,sinusoidal,learned,alibi,none", "lr=fixed"),
        "It does: without positions the encoder guesses (51 %), with rotary, sinusoidal or "
        "learned ones it is right every time. ALiBi here has one slope for each direction and "
        "also solves it, in four of five seeds to 100 %. The verdict among those that solve "
        "it means nothing: their losses differ in the fourth decimal.",
        ("test/accuracy",),
    ),
    "warmup": Claim(
        "Does warm-up help a deep network?",
        "With norms after each layer training needs a warm-up, with norms before it does not "
        "(Xiong et al. 2020).",
        ("experiment=warmup", "residual=post_norm,pre_norm", "schedule.warmup_steps=0,100",
         "model.n_layers=6", "optimizer.lr=3e-3", "trainer.max_steps=400", "lr=fixed"),
        "It does: with norms after each layer and no warm-up six layers learn hardly more "
        "than the frequencies of single bytes at this rate, and with a quarter of the steps "
        "as warm-up they learn, in every seed; with norms before each layer they learn either "
        "way. It takes a rate at which it matters. Post-norm needed no warm-up at 1e-3 with "
        "six layers, and learned nothing with 60 steps of it at 1e-3 with twelve: warm-up "
        "widens the range of rates, and no more.",
    ),
    "no_norm": Claim(
        "Does a deep network need norms?",
        "Residual networks without norms fail at learning rates that norms allow, unless their "
        "initial weights are scaled for it (Zhang et al. 2019, Fixup).",
        ("experiment=no_norm", "norm=layernorm,none", "init=xavier,fixup",
         "optimizer.lr=2e-3,8e-3", "lr=fixed"),
        "At the high rate it does: with Xavier's weights and no norms all five runs diverge, "
        "where LayerNorm trains and gains from the rate. At the low rate they do not diverge "
        "but end at a loss in the hundreds, for with embeddings of size one the stream is "
        "large from the start. Fixup makes training without norms as good as LayerNorm at the "
        "low rate and as good at the high one where it does not diverge, which it does in two "
        "of five runs. Fixup together with LayerNorm is worse than either: it starts layers "
        "at zero for a problem that the norm has solved.",
    ),
    "norms": Claim(
        "Is RMSNorm as good as LayerNorm?",
        "Leaving out the mean costs nothing in quality (Zhang and Sennrich 2019). The placebo is "
        "LayerNorm again, with other initial weights.",
        ("experiment=norms", "norm=layernorm,rmsnorm", "placebo=true"),
        "Nothing tells them apart here: neither RMSNorm nor the placebo differs from "
        "LayerNorm by more than other initial weights do. That is no proof of equality: the "
        "interval is wider than the band of 0.5 %, so the verdict is unresolved and not "
        "equal.",
    ),
    "activations": Claim(
        "ReLU, GELU or SwiGLU, with equal parameters?",
        "Gated activations improve on ungated ones of equal size (Shazeer 2020).",
        ("experiment=activations", "activation=relu,gelu,swiglu"),
        "Not resolved: SwiGLU is 2.6 % ahead of ReLU on average, and five seeds at 400 steps "
        "do not decide it. GELU and ReLU are closer still. Parameters are equal within 0.11 "
        "%, and each has a learning rate of its own.",
    ),
    "positions": Claim(
        "How should a decoder know positions?",
        "Rotary positions and linear biases improve on added ones (Su et al. 2021; Press et al. "
        "2022); a causal decoder can do without any (Kazemnejad et al. 2023).",
        ("experiment=positions", "position=rope,none,learned,sinusoidal,alibi"),
        "It shows within the length of training: RoPE leads, ALiBi follows, and both are "
        "ahead of added positions. Sinusoidal positions are no better than none, learned ones "
        "are worse than none: 200 steps are few to learn what causal attention tells by "
        "itself.",
    ),
    "smoothing": Claim(
        "Does label smoothing make probabilities more honest?",
        "It hurts perplexity, helps accuracy (Vaswani et al. 2017) and calibrates (Müller et al. "
        "2019).",
        ("experiment=smoothing", "loss.label_smoothing=0.0,0.1", "lr=fixed"),
        "It shows for honesty: the distance of confidence from accuracy falls by a quarter. "
        "The loss on the test set falls too, against the claim that perplexity suffers: these "
        "models over-fit and are punished for being sure. Accuracy does not change by more "
        "than its noise.",
        ("test/accuracy", "test/ece"),
    ),
    "epochs": Claim(
        "Does dropout help where few data are read many times?",
        "Dropout prevents co-adaptation and so over-fitting (Srivastava et al. 2014).",
        ("experiment=epochs", "residual.dropout=0.0,0.1,0.3", "lr=fixed"),
        "It does not show in the loss: after 48 passes over 400 snippets all three are so "
        "sure of wrong answers that the loss is three times that of guessing, with dropout as "
        "without. Accuracy at 0.3 is 24 % against 21 %, one class in eight being chance. "
        "Stopping early would help more: the loss of the last step is compared here.",
        ("test/accuracy",),
    ),
    "inits": Claim(
        "Does the scale of initial weights matter?",
        "Weights drawn so that variances stay equal let deep networks train (Glorot and Bengio "
        "2010; He et al. 2015); scaling by depth helps residual ones (Radford et al. 2019).",
        ("experiment=inits", "init=xavier,kaiming,depth_scaled"),
        "It does, and not as expected: He's weights, the largest of the three, end ahead of "
        "Xavier's, each with its own learning rate, six layers and norms before each. Depth- "
        "scaled weights of 0.02 are behind on average and differ much from seed to seed, so "
        "that nothing is settled about them at 200 steps.",
    ),
    "optimizers": Claim(
        "Can gradient descent train a transformer as well as Adam?",
        "Transformers need adaptive steps; gradient descent lags behind (Zhang et al. 2020).",
        ("experiment=optimizers", "optimizer=adam,sgd"),
        "It cannot here: with a learning rate of its own, widened as far as the search goes, "
        "gradient descent with momentum ends a tenth above Adam's loss in all five seeds.",
    ),
}  # fmt: skip
