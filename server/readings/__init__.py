"""What the portal's answers mean: decoded payloads in, models out. Pure, and never raising on data.

Unknown is None, never 0, and every None is explained in the model's `unknown`.
"""
