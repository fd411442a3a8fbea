"""DQN: a network learns the value of actions from remembered play, against a copy of itself."""

from bayesight.language import marked
from bayesight.milestones.bench.claim import Arm, Claim, Keys, Milestone, Paper, Smoke, key
from bayesight.milestones.bench.playing import deep_q

CART = key(
    "play",
    game="CartPole-v1",
    environments=16,
    frames_a_step=2,
    warm_up=1000,
    replay=25_000,
    batch=64,
    exploration=4000,
    epsilon=0.04,
    limit=500,
)
CART_LOSS = key("temporal_difference", discount=0.99, target_every=128)
CART_UPDATES = key("adam", lr=3e-4, clip_norm=10.0, schedule="cosine", average=0.99, steps=12_000)
PIXELS = key(
    "play",
    game="MinAtar/Freeway-v1",
    environments=16,
    frames_a_step=32,
    warm_up=4992,
    replay=100_000,
    batch=128,
    exploration=50_000,
    epsilon=0.05,
    limit=2500,
)
PIXEL_LOSS = key("temporal_difference", discount=0.99, target_every=250)
PIXEL_UPDATES = key("adam", lr=1e-3, clip_norm=10.0, steps=7656)
CONVOLUTION = key("convolution", filters=16, hidden=128)
PERCEPTRON = key("perceptron", hidden=(256, 256))

CARTPOLE = Keys(CART, PERCEPTRON, CART_LOSS, CART_UPDATES, "cartpole")
FREEWAY = Keys(PIXELS, CONVOLUTION, PIXEL_LOSS, PIXEL_UPDATES, "freeway")


MILESTONE = Milestone(
    name="dqn",
    year=2013,
    paper=Paper(
        "Mnih, Kavukcuoglu, Silver, Graves, Antonoglou, Wierstra, Riedmiller; Mnih et al.",
        "Playing Atari with Deep Reinforcement Learning; Human-level control through deep reinforcement "
        "learning",
        "NeurIPS workshop 2013; Nature 518, 2015",
        "https://arxiv.org/abs/1312.5602",
    ),
    claim=marked(
        "A network learns to act from pictures and rewards alone, once it learns from remembered play in "
        "random order, towards targets of a network that stands still for a while."
    ),
    figure=marked(
        "Above all earlier learners on 6 of 7 Atari games, above an expert on 3 (2013, table 1); without "
        "replay and target network a hundredth of the score is left on Breakout (3.2 for 316.8; "
        "2015, extended data table 3)."
    ),
    displaced=marked("Q-learning online, with features made by hand for each game"),
    key="data",
    story="Nobody hands over the data: the network acts, and learns from what it has brought about. The data "
    "key changed, from the newest frames, each like the one before it, to draws from a long memory; and the "
    "loss holds its own target still between two copies. Model and optimization are as they were.",
    arms=(
        Arm("cartpole", (CARTPOLE,), deep_q),
        Arm("cartpole, neither", (CARTPOLE.changed({"data.replay": 64, "loss.target_every": 1}),), deep_q),
        Arm("freeway", (FREEWAY,), deep_q),
        Arm("freeway, no replay", (FREEWAY.changed({"data.replay": 128}),), deep_q),
    ),
    claims=(
        Claim("cartpole", "return", ">=", margin=475.0, smoke=(1.0, 150.0)),
        Claim("cartpole, neither", "return", "<=", margin=100.0),
        Claim(
            "cartpole",
            "return",
            ">=",
            against="cartpole, neither",
            margin=375.0,
            differs=("data", "loss"),
            smoke=(1.0, 50.0),
        ),
        Claim("freeway", "return", ">=", margin=20.0, smoke=(1.0, 0.0)),
        Claim(
            "freeway",
            "return",
            ">=",
            against="freeway, no replay",
            margin=15.0,
            differs=("data",),
            smoke=(1.0, -1.0),
        ),
        Claim("freeway, no replay", "training", "<=", margin=2.0),
    ),
    metrics={
        "return": "mean of 20 greedy episodes that chose nothing, rewards added up",
        "lowest": "the least of them",
        "training": "mean of the last 20 episodes of training, with its share of random actions",
        "frames": "of play that was learned from, those of the warm-up included",
    },
    watched="return at a look, from random play (0) to the published figure (1)",
    source="play",
    smoke=Smoke(
        {
            "cartpole.optimization.steps": 1500,
            "freeway.optimization.steps": 20,
            "freeway.data.warm_up": 40_000,
            "freeway.data.limit": 30,
        }
    ),
    minutes=12,
    differences=(
        "Small games in place of Atari's: CartPole of four numbers, and MinAtar's Freeway of 10x10 bits with "
        "three actions (MinAtar's own curves have six).",
        "16 copies of a game are stepped together, and several frames are played for one update.",
    ),
    notes=(
        "Of the twenty networks looked at while one trains, the best by eight greedy episodes is judged; "
        "the episodes of the judgement have other seeds and choose nothing. All arms are treated alike.",
        "Without replay the memory holds one batch, the newest transitions: as many updates, of as many "
        "transitions, as often used. MinAtar's own curves are returns while training, about 48 in Freeway "
        "after a million frames and 0 without replay until 2.7 million; that is `training` here, and the "
        "claim on it was written down when the first seed's figures were known. `return` is kinder to "
        "chance: going up whatever comes brings 14 points (the mean of 20 episodes, 0 to 41), and the best "
        "of twenty networks that have learned nothing may do so.",
        "Tuned with seeds 10 and 11 alone, on CartPole: the rate (3e-4, 1e-3 and 2.3e-3, level and "
        "falling), the target's interval (32 and 128), and numbers as shares of their bounds, without which "
        "25,000 frames gave 180 to 460. At a rate of 1e-3 it balanced as early and forgot it again soon. "
        "Freeway was run once before, with seed 10: 505,000 frames, 16 of them an update, gave 55.9 with "
        "twice the updates.",
    ),
)
