"""Where the curves of a run go while it trains, one place a file; `base` says what they share."""
