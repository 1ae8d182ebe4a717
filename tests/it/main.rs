//! The tests of the whole.
use fuelsched::*;
use fuelsched::policy::RoundRobin;
#[test] fn smoke() {
    let engine = Engine::new(&EngineConfig::default()).unwrap();
    let fib = Module::from_file(&engine, "wasm/fib.wat").unwrap();
    let main = Module::from_file(&engine, "wasm/main.wat").unwrap();
    for q in [1, 7, 1000, 1_000_000] {
        let mut s = Executor::builder().policy(RoundRobin::new(Fuel(q))).build();
        let a = s.spawn(fib.call("main", &[Value::I32(10)])).unwrap();
        let b = s.spawn(main.call("main", &[])).unwrap();
        s.run();
        println!("{q} {:?} {:?}", s.take(a), s.take(b));
    }
}
