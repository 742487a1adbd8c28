"""What a full-size step asks a GPU for does not grow unseen."""

from studies.speed.kernels import Step


def test_a_step_launches_no_more_kernels_than_are_written_down() -> None:
    """docs/results/bench/kernels.md. Another torch may count a few otherwise."""
    launched = Step(320).launched()
    assert sum(launched.kernels.values()) <= 1302
    assert launched.copies <= 68
    assert launched.bytes < 38.0e9
