"""The control loop: observe, decide, plan, act, meter."""
