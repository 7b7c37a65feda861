"""A campaign killed again and again: the same command goes on, and it ends as if nothing had been."""

import time
from collections import Counter

from tests.integration.interruption.commands import KILLS, completed, killed, moments, small_series
from tests.integration.interruption.files_whole import numbers_of, require_whole, unfinished


def test_killed_at_any_moment_it_ends_with_the_same_numbers(tmp_path):
    place = small_series(tmp_path / "series")
    command = ["campaign", place / "campaign.toml", "--workers", "1", "--no-plugins", "-o"]
    begun = time.perf_counter()
    completed(*command, place / "whole")
    length = time.perf_counter() - begun
    everything, expected = require_whole(place / "whole"), numbers_of(place / "whole")
    assert {"campaign.json", "campaign.html", "summary.csv"} <= everything
    assert sum(name.endswith("run.json") for name in everything) == 1
    assert sum("/draws/" in name for name in everything) == 2
    directory, at, left = place / "parts0", Counter(), 0
    chance = moments(length, seed=2)
    while at.total() < KILLS // 2:
        stage = killed(next(chance), *command, directory)
        assert require_whole(directory) <= everything
        if stage is None:
            assert unfinished(directory) == []
            assert numbers_of(directory) == expected
            directory = place / f"parts{at.total()}"
        else:
            at[stage.split(" (")[0]] += 1
            left += len(unfinished(directory))
    completed(*command, directory)
    assert require_whole(directory) == everything
    assert unfinished(directory) == []
    assert numbers_of(directory) == expected
    print(f"\ncampaign of {length:.0f} s, killed after: {dict(at)}; {left} files were being written")
