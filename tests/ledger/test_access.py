from datetime import UTC, datetime, timedelta

import pytest

from bayesight.errors import InvalidInput, NotAllowed, UnknownName
from bayesight.ledger import Ledger, create_token, find_token, revoke_token, tokens


def test_a_token_opens_what_its_scopes_say(ledger):
    made = create_token(ledger, "alice", ["label"])
    assert find_token(ledger, made.secret, scope="label") == made
    assert find_token(ledger, made.secret).secret == ""
    with pytest.raises(NotAllowed, match="it allows label; expected 'admin'"):
        find_token(ledger, made.secret, scope="admin")
    chief = create_token(ledger, "chief", ["admin"])
    assert find_token(ledger, chief.secret, scope="predict").name == "chief"
    assert tokens(ledger) == [made, chief]
    assert made.secret not in repr(made)


def test_secrets_are_long_and_never_the_same(ledger):
    secrets = {create_token(ledger, "a", ["predict"]).secret for _ in range(20)}
    assert len(secrets) == 20
    assert min(map(len, secrets)) >= len("bayesight_") + 43  # 256 bits in base 64


@pytest.mark.parametrize("secret", ["", "bayesight_", "bayesight_" + "A" * 43, "ä", "\x00", "x" * 100_000])
def test_what_is_no_token_is_refused_without_repeating_it(ledger, secret):
    create_token(ledger, "alice", ["label"])
    with pytest.raises(NotAllowed, match="it is not known") as told:
        find_token(ledger, secret)
    assert not secret or secret not in str(told.value) or secret == "bayesight_"


def test_a_token_ends(ledger_url):
    now = [datetime(2030, 5, 1, tzinfo=UTC)]
    with Ledger.open(ledger_url, clock=lambda: now[0]) as ledger:
        short = create_token(ledger, "a", ["label"], expires_in_s=60)
        long = create_token(ledger, "b", ["label"])
        assert find_token(ledger, short.secret)
        now[0] += timedelta(seconds=60)
        with pytest.raises(NotAllowed, match="it ended on 2030-05-01"):
            find_token(ledger, short.secret)
        assert revoke_token(ledger, long.id).revoked_at
        assert revoke_token(ledger, long.id).revoked_at[:10] == "2030-05-01"
        with pytest.raises(NotAllowed, match="it was revoked on 2030-05-01"):
            find_token(ledger, long.secret)


def test_tokens_nobody_should_make_are_refused(ledger):
    for name, scopes in (("", ["label"]), ("a\nb", ["label"]), ("a", [])):
        with pytest.raises(InvalidInput):
            create_token(ledger, name, scopes)
    for seconds in (0, -1, float("nan"), float("inf")):
        with pytest.raises(InvalidInput, match="seconds from now"):
            create_token(ledger, "a", ["label"], expires_in_s=seconds)
    with pytest.raises(UnknownName, match="did you mean 'admin'"):
        create_token(ledger, "a", ["admn"])
    with pytest.raises(UnknownName):
        revoke_token(ledger, "none")
    assert tokens(ledger) == []
