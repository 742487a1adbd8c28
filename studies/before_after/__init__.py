"""Does one revision make what another made? `python -m studies.before_after BEFORE AFTER`

Everything is driven from outside, by command lines and HTTP, as modules may have moved in between.
"""
