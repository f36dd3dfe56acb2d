//! The pure core: orders, positions, the simulated exchange, strategies and the step function.
