"""Trains with Stable-Baselines3: a DQN with its replay buffer and an evaluation, a PPO with normalized observations."""

# mypy: disable-error-code="import-not-found, import-untyped, misc"

from __future__ import annotations

import os
import re
from typing import Any

import gymnasium
import numpy as np
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.callbacks import CallbackList, CheckpointCallback, EvalCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from tests.frameworks.writers.telling import Truth, draw_scores, main

SAVES = 8
EVERY = 100


class Drawn(gymnasium.Env[Any, Any]):
    """Ends each episode after one step, with the next of the scores for a reward."""

    observation_space = gymnasium.spaces.Box(-1, 1, (4,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, scores: list[float]) -> None:
        self.coming = iter(scores)

    def reset(self, **_: Any) -> Any:  # noqa: ANN401
        return self.observation_space.sample(), {}

    def step(self, _: Any) -> Any:  # noqa: ANN401
        return self.observation_space.sample(), next(self.coming), True, False, {}


class Noted(EvalCallback):
    """An EvalCallback that notes its own means and bests."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **kwargs)
        self.means: dict[int, float] = {}
        self.best_step = 0

    def _on_step(self) -> bool:
        before, count = self.best_mean_reward, len(self.evaluations_timesteps)
        answer = bool(super()._on_step())
        if len(self.evaluations_timesteps) > count:
            self.means[self.num_timesteps] = self.last_mean_reward
        if self.best_mean_reward > before:
            self.best_step = self.num_timesteps
        return answer


def evaluate(folder: str, seed: int) -> Truth:
    """A DQN that saves model and replay buffer, with evaluations at the same steps, in one folder as rl-zoo has it."""
    model = DQN(
        "MlpPolicy",
        "CartPole-v1",
        policy_kwargs={"net_arch": [8]},
        buffer_size=500,
        learning_starts=50,
        seed=seed,
        device="cpu",
    )
    model.set_logger(configure(folder, ["csv"]))
    scores = [score for score in draw_scores(seed, SAVES) for _ in range(2)]
    saving = CheckpointCallback(EVERY, folder, save_replay_buffer=True)
    evaluation = Noted(
        Drawn(scores),
        n_eval_episodes=2,
        eval_freq=EVERY,
        best_model_save_path=folder,
        log_path=folder,
        verbose=0,
        warn=False,
    )
    model.learn(SAVES * EVERY, callback=CallbackList([saving, evaluation]))
    model.save(os.path.join(folder, "final_model"))
    told = np.load(os.path.join(folder, "evaluations.npz"))
    means = dict(zip(told["timesteps"].tolist(), told["results"].mean(axis=1).tolist(), strict=True))
    return {
        "checkpoints": [
            {
                "path": f"rl_model_{step}_steps",
                "members": [f"rl_model_{step}_steps.zip", f"rl_model_replay_buffer_{step}_steps.pkl"],
                "step": step,
                "metrics": {"mean_reward": means[step]},
            }
            for step in evaluation.means
        ],
        "best": f"rl_model_{evaluation.best_step}_steps",
        "monitor": "mean_reward",
        "last": f"rl_model_{SAVES * EVERY}_steps",
        "others": ["best_model.zip", "final_model.zip"],
        "mode": "max",
        "resumes": SAVES * EVERY,
    }


def normalize(folder: str, seed: int) -> Truth:
    """A PPO that saves model and statistics, without evaluation, under a name with numbers in it."""
    env = VecNormalize(DummyVecEnv([lambda: gymnasium.make("CartPole-v1")]))
    model = PPO(
        "MlpPolicy",
        env,
        policy_kwargs={"net_arch": [8]},
        n_steps=EVERY,
        n_epochs=1,
        batch_size=50,
        seed=seed,
        device="cpu",
    )
    saving = CheckpointCallback(EVERY, folder, name_prefix="ppo_2_CartPole-v1", save_vecnormalize=True)
    model.learn(SAVES * EVERY, callback=saving)
    env.save(os.path.join(folder, "vecnormalize.pkl"))
    stem = "ppo_2_CartPole-v1"
    steps = [nth * EVERY for nth in range(1, SAVES + 1)]
    return {
        "checkpoints": [
            {
                "path": f"{stem}_{step}_steps",
                "members": [f"{stem}_{step}_steps.zip", f"{stem}_vecnormalize_{step}_steps.pkl"],
                "step": step,
            }
            for step in steps
        ],
        "last": f"{stem}_{steps[-1]}_steps",
        "resumes": steps[-1],
    }


def train(folder: str, seed: int) -> Truth:
    """All trainings, each in a folder of its own."""
    return {
        "evaluated": evaluate(os.path.join(folder, "evaluated"), seed),
        "normalized": normalize(os.path.join(folder, "normalized"), seed),
    }


def resume(folder: str) -> Truth:
    """A hundred steps more, from the highest number of steps, with what was saved beside it."""
    names = [name for name in os.listdir(folder) if re.fullmatch(r".+_\d+_steps\.zip", name)]
    latest = max(names, key=lambda name: int(name.split("_")[-2]))
    stem, step = latest.rsplit("_", 2)[0], int(latest.split("_")[-2])
    path = os.path.join(folder, latest)
    if stem.startswith("ppo"):
        env = DummyVecEnv([lambda: gymnasium.make("CartPole-v1")])
        model: Any = PPO.load(
            path, VecNormalize.load(os.path.join(folder, f"{stem}_vecnormalize_{step}_steps.pkl"), env)
        )
    else:
        model = DQN.load(path, gymnasium.make("CartPole-v1"))
        model.load_replay_buffer(os.path.join(folder, f"{stem}_replay_buffer_{step}_steps.pkl"))
    began = model.num_timesteps
    model.learn(EVERY, reset_num_timesteps=False, callback=CheckpointCallback(EVERY, folder, stem))
    return {"latest": latest, "step": began, "ended": model.num_timesteps}


if __name__ == "__main__":
    main(train, resume)
