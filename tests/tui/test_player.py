import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from remdm_tui.watch import player as p
from remdm_tui.watch.player import AHEAD, SPEEDS, Demand, Player

LIVE = Player(position=5, recorded=5)


def test_at_full_speed_the_view_follows_the_record():
    assert p.sync_recorded(LIVE, 9, ended=False).position == 9


def test_paused_the_record_may_grow_without_moving_the_view():
    player = p.sync_recorded(replace(LIVE, playing=False), 7, ended=False)
    assert (player.position, player.recorded) == (5, 7)


def test_looking_back_while_steps_arrive_keeps_the_place():
    assert p.sync_recorded(replace(LIVE, position=2), 8, ended=False).position == 2


def test_a_step_forward_at_the_edge_asks_for_exactly_one_step():
    stepping = p.forward(LIVE)
    assert p.tick(stepping, 0.1)[1] == Demand(1)
    assert not p.sync_recorded(stepping, 6, ended=False).stepping
    assert p.sync_recorded(stepping, 6, ended=False).position == 6


def test_steps_pressed_faster_than_the_engine_goes_are_all_taken():
    player = p.forward(p.forward(p.forward(LIVE)))
    assert p.tick(player, 0.1)[1] == Demand(3)
    player = p.sync_recorded(player, 7, ended=False)
    assert (player.position, player.stepping) == (7, 1)
    assert p.sync_recorded(player, 9, ended=False).position == 8


def test_a_step_forward_inside_the_record_asks_for_nothing():
    stepped = p.forward(replace(LIVE, position=2))
    assert stepped.position == 3
    assert p.tick(stepped, 0.1)[1] == Demand()


def test_a_step_forward_after_the_end_does_nothing():
    done = replace(LIVE, ended=True)
    assert p.forward(done) == replace(done, playing=False)


def test_full_speed_asks_for_renewed_steps():
    assert p.tick(LIVE, 0.1)[1] == Demand(AHEAD, renew=True)


def test_paused_asks_for_nothing():
    assert p.tick(replace(LIVE, playing=False), 10.0)[1] == Demand()


def test_two_steps_a_second_ask_twice_a_second():
    player, requested = replace(LIVE, speed=2), 0
    for _ in range(60 * 3):
        player, demand = p.tick(player, 1 / 60)
        if demand.steps:
            requested += 1
            player = p.sync_recorded(p.request_sent(player), player.recorded + 1, ended=False)
    assert requested == 6 or requested == 5
    assert player.position == 5 + requested


def test_a_slow_engine_is_not_sent_a_debt():
    player = replace(LIVE, speed=100)
    for _ in range(600):
        player, demand = p.tick(player, 1 / 60)
        assert demand.steps <= 1
    assert player.due <= 1


def test_replay_at_full_speed_catches_up():
    player = Player(position=0, recorded=4096, ended=True)
    paints = 0
    while not player.live:
        player, _ = p.tick(player, 1 / 60)
        paints += 1
    assert paints < 400


def test_replay_keeps_the_pace():
    player = Player(position=0, recorded=100, speed=10)
    for _ in range(60):
        player, _ = p.tick(player, 1 / 60)
    assert player.position in (9, 10)


def test_the_end_of_the_run_pauses_at_the_end():
    ended = p.sync_recorded(LIVE, 6, ended=True)
    assert ended.done
    assert not ended.playing


def test_play_at_the_end_plays_again_from_the_start():
    again = p.toggle(p.sync_recorded(LIVE, 6, ended=True))
    assert (again.position, again.playing) == (0, True)


def test_back_and_seek_pause():
    assert p.back(LIVE) == replace(LIVE, position=4, playing=False)
    assert p.seek(LIVE, 99).position == 5
    assert p.seek(LIVE, -3).position == 0


def test_speeds_end_at_the_ends():
    assert p.faster(Player(), 1).speed == math.inf
    assert p.faster(Player(speed=1), -1).speed == 1
    assert p.faster(Player(speed=1), 1).speed == SPEEDS[1]


ACTIONS = [
    p.toggle, p.forward, p.back, p.request_sent,
    lambda x: p.seek(x, 3), lambda x: p.faster(x, -1), lambda x: p.tick(x, 0.3)[0],
    lambda x: p.sync_recorded(x, x.recorded + 1, False), lambda x: p.sync_recorded(x, x.recorded, True),
]  # fmt: skip


@given(st.lists(st.sampled_from(ACTIONS), max_size=40))
def test_the_view_never_leaves_the_record(actions):
    player = Player()
    for action in actions:
        player = action(player)
        assert 0 <= player.position <= player.recorded
        assert not (player.stepping and player.playing)
