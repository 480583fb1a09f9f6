//! The binary: everything is in the library.

fn main() -> std::process::ExitCode {
    sensor_user::cli::main()
}
