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
        "",
        ("test/accuracy",),
    ),
    "warmup": Claim(
        "Does warm-up help a deep network?",
        "With norms after each layer training needs a warm-up, with norms before it does not "
        "(Xiong et al. 2020).",
        ("experiment=warmup", "residual=post_norm,pre_norm", "schedule.warmup_steps=0,60",
         "lr=fixed"),
        "",
    ),
    "no_norm": Claim(
        "Does a deep network need norms?",
        "Residual networks without norms fail at learning rates that norms allow, unless their "
        "initial weights are scaled for it (Zhang et al. 2019, Fixup).",
        ("experiment=no_norm", "norm=layernorm,none", "init=xavier,fixup",
         "optimizer.lr=2e-3,8e-3", "lr=fixed"),
        "",
    ),
    "norms": Claim(
        "Is RMSNorm as good as LayerNorm?",
        "Leaving out the mean costs nothing in quality (Zhang and Sennrich 2019). The placebo is "
        "LayerNorm again, with other initial weights.",
        ("experiment=norms", "norm=layernorm,rmsnorm", "placebo=true"),
        "",
    ),
    "activations": Claim(
        "ReLU, GELU or SwiGLU, with equal parameters?",
        "Gated activations improve on ungated ones of equal size (Shazeer 2020).",
        ("experiment=activations", "activation=relu,gelu,swiglu"),
        "",
    ),
    "positions": Claim(
        "How should a decoder know positions?",
        "Rotary positions and linear biases improve on added ones (Su et al. 2021; Press et al. "
        "2022); a causal decoder can do without any (Kazemnejad et al. 2023).",
        ("experiment=positions", "position=rope,none,learned,sinusoidal,alibi"),
        "",
    ),
    "smoothing": Claim(
        "Does label smoothing make probabilities more honest?",
        "It hurts perplexity, helps accuracy (Vaswani et al. 2017) and calibrates (Müller et al. "
        "2019).",
        ("experiment=smoothing", "loss.label_smoothing=0.0,0.1", "lr=fixed"),
        "",
        ("test/accuracy", "test/ece"),
    ),
    "epochs": Claim(
        "Does dropout help where few data are read many times?",
        "Dropout prevents co-adaptation and so over-fitting (Srivastava et al. 2014).",
        ("experiment=epochs", "residual.dropout=0.0,0.1,0.3", "lr=fixed"),
        "",
        ("test/accuracy",),
    ),
    "inits": Claim(
        "Does the scale of initial weights matter?",
        "Weights drawn so that variances stay equal let deep networks train (Glorot and Bengio "
        "2010; He et al. 2015); scaling by depth helps residual ones (Radford et al. 2019).",
        ("experiment=inits", "init=xavier,kaiming,depth_scaled"),
        "",
    ),
    "optimizers": Claim(
        "Can gradient descent train a transformer as well as Adam?",
        "Transformers need adaptive steps; gradient descent lags behind (Zhang et al. 2020).",
        ("experiment=optimizers", "optimizer=adam,sgd"),
        "",
    ),
}  # fmt: skip
