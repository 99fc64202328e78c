"""Components of a transformer in plain torch: no Lightning, no Hydra.

Letters used in shapes, everywhere the same:
    B batch, T query length, S key length, D d_model, H heads, G key/value heads, K head width,
    V vocabulary. `padding` True = pad. `mask` True = may attend.
"""
