// Counts the words of a file, in Rust, with its standard library alone: see README.md for what all `words` do.
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

fn main() {
    let greeting = env::var("GREETING").unwrap_or_else(|_| "nothing".into());
    println!("{greeting} from a program in Rust");
    let arguments: Vec<String> = env::args().skip(1).collect();
    for (i, argument) in arguments.iter().enumerate() {
        println!("argument {}: {argument}", i + 1);
    }
    if arguments.len() != 2 {
        process::exit(2);
    }
    let text = match fs::read_to_string(&arguments[0]) {
        Ok(text) => text,
        Err(_) => {
            println!("{} cannot be read", arguments[0]);
            process::exit(1);
        }
    };
    let mut counts = BTreeMap::new();
    for word in text.split_whitespace() {
        *counts.entry(word).or_insert(0) += 1;
    }
    let list: String = counts.iter().map(|(word, count)| format!("{word} {count}\n")).collect();
    fs::write(&arguments[1], &list).expect("the list can be written");
    let back = fs::read_to_string(&arguments[1]).expect("it can be read again");
    let same = if back == list { "read back as written" } else { "changed" };
    println!("{back}{} words, {same}", counts.len());

    let before = Instant::now();
    thread::sleep(Duration::from_millis(20));
    let slept = before.elapsed() >= Duration::from_millis(20);
    println!("{}", if slept { "slept" } else { "did not sleep" });
    process::exit(3);
}
