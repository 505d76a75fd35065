"""Training: the loop, the step, the optimizer and the learning rate's schedules."""
