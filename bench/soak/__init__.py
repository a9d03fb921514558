"""Half an hour of everything: does anything grow, and does anything fail that was not made to?"""
