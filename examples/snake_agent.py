"""An agent that learns to play snake
===================================

A table of values is all that it has: of 576 situations, what each of four keys is worth. It sees
the text screen, as a player does, and learns in a minute or two (Q-learning; Watkins, 1989). It
needs ``pip install 'vgaemu[unicorn,gym]'``; ``snake_agent.py 300`` plays 300 episodes, not 20, and
``snake_agent.py 300 F.png`` draws their learning curve, which needs ``pip install matplotlib``.
"""

import random
import sys

import gymnasium
import numpy as np

SNAKE, DIAMOND, BLANK = 2, 4, 32  # characters of code page 437
STEPS = [(-1, 0), (1, 0), (0, -1), (0, 1)]  # up, down, left, right: the environment's actions
RATE, DISCOUNT = 0.2, 0.9
#: What a step towards the diamond is worth beside one.
NEARER = 0.1


class Player:
    """What the screen says of the game: where the head is, the diamond, and what is in the way."""

    def __init__(self, screen):
        row, column = max(zip(*np.nonzero(screen == SNAKE), strict=True), key=lambda at: at[1])
        self.head, self.heading, self.screen = (row, column), 3, screen

    def follow(self, screen):
        """The head is the cell that is new, of two the one further away."""
        new = np.argwhere((screen == SNAKE) & (self.screen != SNAKE))
        self.screen = screen
        if len(new):
            before, self.head = self.head, tuple(max(new, key=lambda at: self.distance(at)))
            way = np.sign(np.subtract(self.head, before))
            self.heading = next((i for i, step in enumerate(STEPS) if tuple(way) == step), 3)

    def distance(self, place):
        return abs(place[0] - self.head[0]) + abs(place[1] - self.head[1])

    def situation(self):
        """A number below 576, and how far the diamond is."""
        row, column = self.head
        blocked = 0
        for i, (down, right) in enumerate(STEPS):
            blocked |= (self.screen[row + down, column + right] not in (BLANK, DIAMOND)) << i
        diamonds = np.argwhere(self.screen[1:-1] == DIAMOND)
        target = (diamonds[0][0] + 1, diamonds[0][1]) if len(diamonds) else self.head
        down, right = np.sign(np.subtract(target, self.head)) + 1
        return int(((blocked * 3 + down) * 3 + right) * 4 + self.heading), self.distance(target)


def play(env, values, chance, explore, rate, seed=None):
    """One episode, from which `values` learn; its score."""
    screen, _ = env.reset(seed=seed)
    player, score, steps, over = Player(screen), 0, 0, False
    now, far = player.situation()
    while not over and steps < 2000:
        best = int(values[now].argmax())
        action = chance.randrange(4) if chance.random() < explore else best
        screen, reward, over, _, _ = env.step(action)
        score, steps = score + reward + over, steps + 1
        before, was_far = now, far
        if not over:
            player.follow(screen)
            now, far = player.situation()
            reward += NEARER * np.sign(was_far - far)
        ahead = 0 if over else DISCOUNT * values[now].max()
        values[before, action] += rate * (reward + ahead - values[before, action])
    return int(score)


def learn(episodes):
    """Scores of so many episodes, of one agent."""
    values, chance = np.zeros((576, 4)), random.Random(0)
    with gymnasium.make("vgaemu.gym:vgaemu/Snake-v0", frame_skip=7) as env:
        for episode in range(episodes):
            left = 1 - episode / episodes
            explore, rate = max(0.4 * left - 0.2, 0.0), RATE * max(left, 0.05)
            yield play(env, values, chance, explore, rate, seed=0 if episode == 0 else None)


def draw(scores, path):
    """The learning curve: each episode, and means of 20."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(range(1, len(scores) + 1), scores, ".", color="0.7", label="an episode")
    some = min(20, len(scores))
    means = np.convolve(scores, np.ones(some) / some, "valid")
    axes.plot(range(some, len(scores) + 1), means, color="tab:blue", label=f"mean of {some}")
    axes.set(xlabel="episode", ylabel="diamonds", title="snake.img, a table of 576 situations")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left")
    figure.savefig(path, dpi=100)


episodes = int(sys.argv[1]) if len(sys.argv) > 1 else 20
scores = []
for score in learn(episodes):
    scores.append(score)
    if len(scores) % 20 == 0 or len(scores) == episodes:
        print(f"episode {len(scores)}: {np.mean(scores[-20:]):.1f} diamonds of late", flush=True)
if len(sys.argv) > 2:
    draw(scores, sys.argv[2])
