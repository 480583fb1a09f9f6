//! Entries and exits of kernel functions, by BPF trampolines. The agent says which function at load time
//! (sensor-user/src/probe/plan.rs); the doc comments have the prototypes. An exit finds the result behind the arguments.

mod dump;
mod file;
mod memory;
mod net;
mod pipe;
mod transfer;
mod trial;
mod tty;
