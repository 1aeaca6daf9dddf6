"""Learning-rate factors of Transformers' schedules, step by step.

Convention: `factors[i]` multiplies the peak learning rate in the update of step i,
counted from 0, so with a warm-up of w > 0 steps the very first update has factor 0,
and step w is the first at the peak.
"""

import torch
from transformers import (get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup, get_wsd_schedule)

# (steps, warm-up steps): no warm-up, some, a single step, all warm-up.
SETTINGS = ((20, 0), (20, 3), (33, 8), (1, 0), (5, 5))
# (steps, warm-up, decay steps, decay shape, lowest factor)
WSD = ((20, 3, 5, "linear", 0.0), (20, 0, 20, "linear", 0.1), (33, 4, 10, "cosine", 0.0),
       (33, 4, 10, "cosine", 0.1), (33, 4, 10, "1-sqrt", 0.0), (33, 4, 10, "1-sqrt", 0.1), (12, 4, 0, "linear", 0.0))


def factors(make, steps):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    schedule = make(optimizer)
    used = []
    for _ in range(steps):
        used.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        schedule.step()
    return used


def references():
    cases = []
    for name, make in (("cosine", get_cosine_schedule_with_warmup), ("linear", get_linear_schedule_with_warmup)):
        for steps, warmup in SETTINGS:
            used = factors(lambda o: make(o, num_warmup_steps=warmup, num_training_steps=steps), steps)
            cases.append({"schedule": name, "steps": steps, "warmup": warmup, "factors": used})
    for steps, warmup, decay, shape, low in WSD:
        used = factors(lambda o: get_wsd_schedule(
            o, num_warmup_steps=warmup, num_decay_steps=decay, num_training_steps=steps,
            decay_type=shape, min_lr_ratio=low), steps)
        cases.append({"schedule": "wsd", "steps": steps, "warmup": warmup, "decay": decay,
                      "decay_type": shape, "min_factor": low, "factors": used})
    return {"cases": cases}
