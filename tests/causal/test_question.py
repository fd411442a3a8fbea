"""Questions: effects that there are, and the refusal of others."""

import pytest

from bayesight.causal import EffectQuestion
from bayesight.causal.question import EFFECTS, ON_WHOM
from bayesight.errors import UnknownName


def test_an_unknown_effect_is_refused():
    assert EffectQuestion("T", "Y", effect="att").effect == "att"
    with pytest.raises(UnknownName, match="overlap"):
        EffectQuestion("T", "Y", effect="overlaps")


def test_every_effect_says_whom_it_is_about():
    assert set(ON_WHOM) == set(EFFECTS)
    assert [EffectQuestion("T", "Y", effect=e).effect for e in EFFECTS] == list(EFFECTS)
    plain = EffectQuestion("T", "Y")
    assert (plain.effect, plain.adjust, plain.level, plain.direct) == ("ate", None, 0.95, False)
