//! Reads cluster.yml files and shows what `windlass` would say of each: `cargo run --example explain -- FILE…`.
#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "an example, not the library")]

fn main() {
    for file in std::env::args().skip(1) {
        match std::fs::read(&file) {
            Ok(text) => {
                let reading = windlass_spec::read(&text);
                println!("== {file}: {}", if reading.spec.is_some() { "read" } else { "refused" });
                println!("{}", windlass_spec::render(&reading.diagnostics, &file, &text));
            }
            Err(error) => println!("== {file}: {error}"),
        }
    }
}
