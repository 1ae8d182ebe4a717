//! The page of `--report` in a real browser, headless, with real keys and clicks, and traces in its DevTools: Chromium by its DevTools protocol
//! (<https://chromedevtools.github.io/devtools-protocol/>), which is JSON in a web socket.
//!
//! Where there is no Chromium the tests say so and pass, unless `FUELSCHED_BROWSER` is set, as `.ci/browser` does. They leave pictures of what they
//! saw in `target/tmp/report`.

use crate::cli::{file, sched};
use crate::html::place;
use base64::Engine;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tungstenite::{Message, WebSocket};

/// What Chromium is called.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// A browser with one page.
struct Browser {
    /// Its process.
    child: Child,
    /// What is said to it, and what it says.
    socket: WebSocket<TcpStream>,
    /// Commands so far.
    sent: u64,
    /// The page.
    session: Option<String>,
    /// What it told without being asked.
    told: Vec<Value>,
    /// Its profile.
    profile: PathBuf,
    /// Whether the page's script runs.
    scripts: bool,
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Outside of the page's session; one that does not go of itself is made to.
        let _ = self.socket.send(Message::text(r#"{"id":0,"method":"Browser.close"}"#));
        let gone = |child: &mut Child| {
            (0..100).any(|_| {
                std::thread::sleep(Duration::from_millis(30));
                child.try_wait().is_ok_and(|status| status.is_some())
            })
        };
        if !gone(&mut self.child) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        // Its children may still write.
        let _ = (0..20).any(|_| {
            let removed = fs::remove_dir_all(&self.profile).is_ok();
            std::thread::sleep(Duration::from_millis(if removed { 0 } else { 50 }));
            removed
        });
    }
}

/// Keys that are more than a character.
fn key_code(key: &str) -> u32 {
    match key {
        "Tab" => 9,
        "Enter" => 13,
        "Escape" => 27,
        "Home" => 36,
        "ArrowLeft" => 37,
        "ArrowRight" => 39,
        other => other.to_uppercase().bytes().next().unwrap_or(0).into(),
    }
}

impl Browser {
    /// Starts it; nothing, and a line about it, where it is not installed.
    fn start(name: &str) -> Option<Browser> {
        let there = |name: &&str| {
            let version = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
            version.is_ok_and(|status| status.success())
        };
        let Some(program) = NAMES.into_iter().find(there) else {
            assert!(std::env::var_os("FUELSCHED_BROWSER").is_none(), "there is none of {NAMES:?}");
            println!("skipped: there is no Chromium ({})", NAMES.join(", "));
            return None;
        };
        let profile = std::env::temp_dir().join(format!("fuelsched-browser-{}-{name}", std::process::id()));
        let mut child = Command::new(program)
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            .args(["--remote-debugging-port=0", "--hide-scrollbars", "about:blank"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("Chromium starts");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("DevTools listening on ").map(str::to_string))
            .expect("Chromium says where it listens");
        std::thread::spawn(move || lines.for_each(drop));
        let address = url.trim_start_matches("ws://").split('/').next().expect("an address");
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time");
        let (socket, _) = tungstenite::client(&url, stream).expect("a web socket");
        let mut browser = Browser { child, socket, sent: 0, session: None, told: Vec::new(), profile, scripts: true };
        let target = browser.tell("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let session = browser.tell("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        browser.session = session["sessionId"].as_str().map(str::to_string);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.tell(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    /// The next message.
    fn hear(&mut self) -> Value {
        loop {
            if let Message::Text(text) = self.socket.read().expect("it goes on") {
                return serde_json::from_str(&text).expect("JSON");
            }
        }
    }

    /// Gives a command, and waits for its result.
    fn tell(&mut self, method: &str, params: Value) -> Value {
        self.sent += 1;
        let mut command = json!({"id": self.sent, "method": method, "params": params});
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        self.socket.send(Message::text(command.to_string())).expect("it listens");
        loop {
            let mut message = self.hear();
            if message["id"] == self.sent {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].take();
            }
            self.told.push(message);
        }
    }

    /// Opens a page at a size, and waits until it is there.
    fn open(&mut self, path: &str, (width, height): (u32, u32), scheme: &str) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.tell("Emulation.setDeviceMetricsOverride", size);
        let scheme = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.tell("Emulation.setEmulatedMedia", json!({"features": scheme}));
        self.told.retain(|event| event["method"] != "Page.loadEventFired");
        self.tell("Page.navigate", json!({"url": format!("file://{path}")}));
        while !self.told.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.hear();
            self.told.push(event);
        }
        if self.scripts {
            self.settle();
        }
    }

    /// Waits until what was asked for is drawn.
    fn settle(&mut self) {
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(0))))");
    }

    /// What an expression of the page comes to.
    fn run(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let mut result = self.tell("Runtime.evaluate", params);
        assert!(result.get("exceptionDetails").is_none(), "{expression}: {result}");
        result["result"]["value"].take()
    }

    /// The text of what a selector finds first.
    fn text(&mut self, selector: &str) -> String {
        let text = self.run(&format!("document.querySelector({}).textContent", json!(selector)));
        text.as_str().unwrap_or_default().into()
    }

    /// Whether what a selector finds first can be seen.
    fn sees(&mut self, selector: &str) -> bool {
        self.run(&format!("document.querySelector({}).checkVisibility()", json!(selector))) == true
    }

    /// Presses a key.
    fn press(&mut self, key: &str) {
        let code = key_code(key);
        let mut event = json!({"type": "keyDown", "key": key, "windowsVirtualKeyCode": code});
        match key {
            "Enter" => event["text"] = json!("\r"),
            key if key.chars().count() == 1 => event["text"] = json!(key),
            _ => {}
        }
        self.tell("Input.dispatchKeyEvent", event.clone());
        event["type"] = json!("keyUp");
        self.tell("Input.dispatchKeyEvent", event);
        self.settle();
    }

    /// Does something with the mouse.
    fn mouse(&mut self, kind: &str, (x, y): (f64, f64), more: Value) {
        let mut event = json!({"type": kind, "x": x, "y": y});
        more.as_object().into_iter().flatten().for_each(|(key, value)| event[key] = value.clone());
        self.tell("Input.dispatchMouseEvent", event);
    }

    /// Clicks on a place.
    fn click(&mut self, place: (f64, f64)) {
        let left = json!({"button": "left", "buttons": 1, "clickCount": 1});
        self.mouse("mouseMoved", place, json!({}));
        self.mouse("mousePressed", place, left.clone());
        self.mouse("mouseReleased", place, left);
        self.settle();
    }

    /// Where something is: its left, top, width and height, once it has been scrolled to.
    fn place(&mut self, selector: &str) -> [f64; 4] {
        let place = self.run(&format!(
            "(() => {{ const e = document.querySelector({}); e.scrollIntoView({{block: 'center'}}); \
             const r = e.getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; }})()",
            json!(selector)
        ));
        [0, 1, 2, 3].map(|n| place[n].as_f64().expect(selector))
    }

    /// Clicks on what a selector finds first.
    fn click_on(&mut self, selector: &str) {
        let [left, top, width, height] = self.place(selector);
        self.click((left + width / 2.0, top + height / 2.0));
    }

    /// Turns the wheel.
    fn wheel(&mut self, place: (f64, f64), down: f64, more: Value) {
        let mut wheel = json!({"deltaX": 0, "deltaY": down});
        more.as_object().into_iter().flatten().for_each(|(key, value)| wheel[key] = value.clone());
        self.mouse("mouseWheel", place, wheel);
        self.settle();
    }

    /// The part of the run that is seen.
    fn view(&mut self) -> (f64, f64) {
        let text = self.text("#view").replace(',', "");
        let numbers: Vec<f64> = text.split(' ').filter_map(|word| word.parse().ok()).collect();
        (numbers[0], numbers[1])
    }

    /// Keeps a picture of the whole page, or prints it.
    fn keep(&mut self, name: &str) {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("report");
        fs::create_dir_all(&folder).expect("a folder");
        let data = match name.ends_with(".pdf") {
            true => self.tell("Page.printToPDF", json!({"printBackground": false, "preferCSSPageSize": true})),
            false => self.tell("Page.captureScreenshot", json!({"captureBeyondViewport": true})),
        };
        let data = base64::engine::general_purpose::STANDARD.decode(data["data"].as_str().expect("data")).expect("it");
        assert!(data.starts_with(b"%PDF") || data.starts_with(b"\x89PNG"));
        fs::write(folder.join(name), data).expect("a file");
    }

    /// Nothing went wrong so far, nothing was loaded, and the page is not wider than the window.
    fn is_well(&mut self) {
        let width = self.run("[document.documentElement.scrollWidth, innerWidth]");
        assert!(width[0].as_u64() <= width[1].as_u64(), "it can be scrolled sideways: {width}");
        let bad =
            ["Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded", "Page.javascriptDialogOpening"];
        let is_bad = |event: &&Value| bad.iter().any(|bad| event["method"] == *bad);
        assert_eq!(self.told.iter().find(is_bad), None);
        let asked = |event: &Value| event["params"]["request"]["url"].as_str().map(str::to_string);
        let loaded: HashSet<String> = self.told.iter().filter_map(asked).collect();
        assert!(loaded.iter().all(|url| url.starts_with("file://") && url.ends_with(".html")), "{loaded:?}");
    }
}

/// A page of a run.
fn page(name: &str, args: &[&str]) -> String {
    let path = place(name);
    sched(&[&["run", "-q", "--report", &path], args].concat());
    path
}

/// The middle of a slice on the screen, at the present view, and the text that should be told of it.
fn slice(browser: &mut Browser, i: usize) -> ((f64, f64), String) {
    let [left, top, width, _] = browser.place("#canvas");
    let (from, to) = browser.view();
    let said = browser.run(&format!(
        "(() => {{ const d = JSON.parse(document.getElementById('data').textContent), s = d.slices, i = {i}; \
         return [s.at[i] + s.charged[i] / 2, s.row[i], d.rows[s.row[i]].name + ', slice ' + s.number[i].toLocaleString('en')]; }})()"
    ));
    let [at, row] = [0, 1].map(|n| said[n].as_f64().expect("a number"));
    let x = left + (at - from) / (to - from) * width;
    ((x, top + row * 26.0 + 13.0), said[2].as_str().expect("a name").into())
}

#[test]
fn the_chart_works_by_keys() {
    let Some(mut browser) = Browser::start("keys") else { return };
    let path = page("keys.html", &["--plan", "docs/plans/edf.toml"]);
    browser.open(&path, (1280, 900), "light");
    assert_eq!(browser.text("#view"), "0 to 4,000,000 fuel");
    browser.click_on("#fit");
    // From the last button of the view over the link that skips the chart to the rows.
    let mut focused = Vec::new();
    for _ in 0..4 {
        browser.press("Tab");
        focused.push(browser.run("document.activeElement.textContent"));
    }
    assert_eq!(focused, ["Skip the chart", "audio", "video", "runaway"]);
    assert_eq!(browser.text("#names [aria-current]"), "runaway");
    assert!(!browser.sees("#details"));
    browser.press("Enter");
    assert_eq!(browser.text("#details h3"), "runaway, slice 1");
    let list = browser.text("#details dl");
    assert!(
        list.starts_with(
            "Clock290,000 to 291,000Picked becausebackgroundGranted1,000 fuelUsed1,000 fuelOvershoot0 fuel"
        ),
        "{list}"
    );
    assert!(list.ends_with("Stoppedpreempted"), "{list}");
    browser.press("n");
    assert_eq!(browser.text("#details h3"), "runaway, slice 2");
    browser.press("p");
    assert_eq!(browser.text("#details h3"), "runaway, slice 1");
    // Zooming keeps the slice in view, where it is.
    for _ in 0..5 {
        browser.press("+");
    }
    let (from, to) = browser.view();
    assert!((to - from - 125_000.0).abs() <= 1.0 && from < 290_000.0 && 291_000.0 < to, "{from} to {to}");
    browser.press("ArrowRight");
    assert_eq!(browser.view().0.round(), from + 25_000.0);
    browser.press("ArrowLeft");
    browser.press("-");
    let (from, to) = browser.view();
    assert!((to - from - 250_000.0).abs() <= 1.0, "{from} to {to}");
    browser.press("Home");
    assert_eq!(browser.text("#view"), "0 to 4,000,000 fuel");
    browser.press("Escape");
    assert!(!browser.sees("#details"));
    // What is in view is also a table.
    browser.run("document.getElementById('listing').open = true");
    browser.run("new Promise(done => setTimeout(done, 300))");
    assert_eq!(browser.text("#listed"), "4,000 slices in view. The first 200 are listed: zoom in for others.");
    assert_eq!(browser.run("document.querySelectorAll('table.listing tbody tr').length"), 200);
    assert_eq!(browser.text("table.listing tbody tr"), "0audio1deadline1,0001,0000preempted");
    browser.click_on("table.listing tbody tr:nth-child(2) button");
    assert_eq!(browser.text("#details h3"), "audio, slice 2");
    browser.is_well();
}

#[test]
fn a_clock_of_any_size_can_be_zoomed() {
    let Some(mut browser) = Browser::start("far") else { return };
    let module = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("wasm/main.wat").display().to_string();
    let plan =
        format!("[[task]]\nmodule = {0}\n[[task]]\nmodule = {0}\nstart = 4_000_000_000_000_000_000\n", json!(module));
    let path = page("far.html", &["--plan", &file("far.toml", plan)]);
    browser.open(&path, (400, 900), "light");
    let [left, top, width, _] = browser.place("#canvas");
    browser.click((left + width - 2.0, top + 10.0));
    for _ in 0..70 {
        browser.press("+");
    }
    browser.press("ArrowRight");
    let (from, to) = browser.view();
    assert!(to - from > 0.0 && to - from < 100_000.0, "{from} to {to}");
    browser.press("Home");
    assert!(browser.text("#view").starts_with("0 to 4,000,000,000,000"), "{}", browser.text("#view"));
    browser.is_well();
}

#[test]
fn the_chart_works_by_mouse() {
    let Some(mut browser) = Browser::start("mouse") else { return };
    let path = page("mouse.html", &["--plan", "docs/plans/channels.toml"]);
    browser.open(&path, (1280, 900), "light");
    let [left, top, width, _] = browser.place("#canvas");
    let whole = browser.view();
    // The page scrolls, unless Ctrl is held or the chart has been clicked.
    browser.wheel((left + width / 4.0, top + 10.0), -200.0, json!({}));
    assert_eq!(browser.view(), whole);
    let [left, top, width, _] = browser.place("#canvas");
    let quarter = (left + width / 4.0, top + 10.0);
    browser.wheel(quarter, -200.0, json!({"modifiers": 2}));
    let zoomed = browser.view();
    let at = |(from, to): (f64, f64)| from + (to - from) / 4.0;
    assert!(zoomed.1 - zoomed.0 < whole.1 * 0.5 && (at(zoomed) - at(whole)).abs() < 3.0, "{zoomed:?}");
    browser.click_on("#fit");
    assert_eq!(browser.view(), whole);
    // A click on each of some slices, with the view around it, and the wheel alone thereafter.
    for i in (0..49).step_by(7) {
        let (place, name) = slice(&mut browser, i);
        browser.click(place);
        for _ in 0..9 {
            let (place, _) = slice(&mut browser, i);
            browser.wheel(place, -500.0, json!({}));
        }
        let (place, _) = slice(&mut browser, i);
        browser.click(place);
        assert_eq!(browser.text("#details h3"), name);
        browser.mouse("mouseMoved", (place.0 + 1.0, place.1), json!({}));
        browser.settle();
        assert!(browser.sees("#tip"));
        assert_eq!(browser.text("#tip h3"), name);
        browser.click_on("#fit");
    }
    // What a task waited for stands with the slice before.
    let (place, _) = slice(&mut browser, 10);
    browser.click(place);
    for _ in 0..9 {
        let (place, _) = slice(&mut browser, 10);
        browser.wheel(place, -500.0, json!({}));
    }
    let (place, _) = slice(&mut browser, 10);
    browser.click(place);
    let list = browser.text("#details dl");
    assert!(list.ends_with("Stoppedwaits to receiveThenwaits to receive from channel 'numbers', 5,032 fuel"), "{list}");
    (0..3).for_each(|_| browser.press("-"));
    browser.mouse("mouseMoved", place, json!({}));
    browser.keep("zoomed.png");
    browser.click_on("#fit");
    // Dragging moves what is seen with the mouse.
    browser.click_on("#in");
    browser.click_on("#in");
    let [left, top, width, _] = browser.place("#canvas");
    let (from, to) = browser.view();
    let held = json!({"button": "left", "buttons": 1});
    browser.mouse("mousePressed", (left + width * 0.75, top + 10.0), held.clone());
    for part in [0.7, 0.6, 0.5] {
        browser.mouse("mouseMoved", (left + width * part, top + 10.0), held.clone());
    }
    browser.mouse("mouseReleased", (left + width * 0.5, top + 10.0), held);
    browser.settle();
    let moved = browser.view();
    assert!((moved.0 - from - (to - from) / 4.0).abs() < 3.0, "{from} to {to}, then {moved:?}");
    // Two fingers that go apart zoom, to twice as close here.
    browser.tell("Emulation.setTouchEmulationEnabled", json!({"enabled": true, "maxTouchPoints": 2}));
    let fingers = |away: f64| {
        let at = |part: f64, id: u32| json!({"x": left + width * part, "y": top + 10.0, "id": id});
        json!([at(0.5 - away, 0), at(0.5 + away, 1)])
    };
    for (kind, points) in [
        ("touchStart", fingers(0.1)),
        ("touchMove", fingers(0.15)),
        ("touchMove", fingers(0.2)),
        ("touchEnd", json!([])),
    ] {
        browser.tell("Input.dispatchTouchEvent", json!({"type": kind, "touchPoints": points}));
        browser.settle();
    }
    let pinched = browser.view();
    let factor = (moved.1 - moved.0) / (pinched.1 - pinched.0);
    assert!((factor - 2.0).abs() < 0.1, "{moved:?}, then {pinched:?}");
    browser.is_well();
}

#[test]
fn a_slice_tells_what_it_sent_and_received() {
    let Some(mut browser) = Browser::start("messages") else {
        return;
    };
    let path = page("messages.html", &["--plan", "docs/plans/channels.toml"]);
    browser.open(&path, (1280, 900), "light");
    for (passed, said) in [(0, "Sentnumbers 0"), (1, "Receivednumbers 0"), (8, "Sentnumbers 4")] {
        let data = "JSON.parse(document.getElementById('data').textContent)";
        let i = browser.run(&format!("{data}.messages.slice[{passed}]")).as_u64().expect("a slice");
        let (at, title) = slice(&mut browser, i as usize);
        browser.click(at);
        assert_eq!(browser.text("#details h3"), title);
        assert!(browser.text("#details dl").contains(said), "{said}");
    }
    browser.is_well();
}

#[test]
fn the_theme_and_the_order_of_tasks_are_chosen() {
    let Some(mut browser) = Browser::start("theme") else { return };
    let path = page("theme.html", &["--plan", "docs/plans/weighted.toml"]);
    for (system, other) in [("light", "dark"), ("dark", "light")] {
        browser.open(&path, (1280, 900), system);
        let mut colours = vec![browser.run("getComputedStyle(document.body).backgroundColor")];
        let mut words = vec![browser.text("#theme")];
        for _ in 0..3 {
            browser.click_on("#theme");
            colours.push(browser.run("getComputedStyle(document.body).backgroundColor"));
            words.push(browser.text("#theme"));
        }
        let expected = ["auto", other, system, "auto"].map(|theme| format!("Theme: {theme}"));
        assert_eq!(words, expected);
        assert!(colours[0] != colours[1] && colours[0] == colours[2] && colours[0] == colours[3], "{colours:?}");
    }
    let order = "[...document.querySelectorAll('table.tasks tbody th')].map(cell => cell.textContent).join(' ')";
    assert_eq!(browser.run(order), "small[0] small[1] small[2] foreground background");
    browser.click_on("table.tasks thead th:nth-child(3) button");
    assert_eq!(browser.run(order), "foreground background small[0] small[1] small[2]");
    browser.click_on("table.tasks thead th:nth-child(1) button");
    assert_eq!(browser.run(order), "background foreground small[0] small[1] small[2]");
    assert_eq!(browser.run("document.querySelector('th[aria-sort]').textContent"), "Task");
    browser.is_well();
}

/// A plan of tasks with hostile names.
fn hostile() -> String {
    let module = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("wasm/main.wat").display().to_string();
    let long = "long".repeat(2_500);
    let names =
        ["</script><script>alert(1)</script>", "\"><img src=x onerror=alert(2)>", "\u{202e}evil\u{200f}", &long];
    let task = |name: &&str| format!("[[task]]\nname = {}\nmodule = {}\n", json!(name), json!(module));
    file("hostile-page.toml", names.iter().map(task).collect::<String>())
}

#[test]
fn it_is_well_at_three_sizes_by_day_and_night_and_on_paper() {
    let Some(mut browser) = Browser::start("sizes") else { return };
    let plan = hostile();
    let pages = [
        ("edf", page("sizes-edf.html", &["--plan", "docs/plans/edf.toml"])),
        ("timed", page("sizes-timed.html", &["--timing", "--plan", "docs/plans/priority.toml"])),
        ("channels", page("sizes-channels.html", &["--plan", "docs/plans/channels.toml"])),
        ("hostile", page("sizes-hostile.html", &["--plan", &plan])),
        ("many", page("sizes-many.html", &["--copies", "300", "--quantum", "1000", "wasm/main.wat"])),
    ];
    for (name, path) in &pages {
        for (size, scheme) in
            [(400, "light"), (400, "dark"), (1280, "light"), (1280, "dark"), (1920, "light"), (1920, "dark")]
        {
            browser.open(path, (size, 900), scheme);
            browser.click_on("#names button");
            browser.is_well();
            let [_, _, width, _] = browser.place("#canvas");
            assert!(width > 0.6 * f64::from(size), "{name}: the chart is {width} wide");
            browser.keep(&format!("{name}-{size}-{scheme}.png"));
        }
        browser.keep(&format!("{name}.pdf"));
        browser.open(path, (794, 1123), "dark");
        browser.tell("Emulation.setEmulatedMedia", json!({"media": "print"}));
        assert!(browser.sees("#picture svg") && !browser.sees("#chart"));
        browser.keep(&format!("{name}-print.png"));
        browser.tell("Emulation.setEmulatedMedia", json!({"media": ""}));
    }
    // Without a script there are the picture and the tables.
    browser.tell("Emulation.setScriptExecutionDisabled", json!({"value": true}));
    browser.scripts = false;
    browser.open(&pages[2].1, (1280, 900), "light");
    assert!(browser.sees("#picture svg") && browser.sees("table.tasks") && !browser.sees("#chart"));
    browser.keep("without-a-script.png");
}

#[test]
fn what_is_aggregated_is_drawn_and_said() {
    let Some(mut browser) = Browser::start("aggregated") else { return };
    let args = ["--quantum", "20", "wasm/fib.wat=22", "wasm/main.wat"];
    let path = page("aggregated.html", &args);
    browser.open(&path, (1280, 900), "light");
    // fib, which is alone at the end.
    let [left, top, width, _] = browser.place("#canvas");
    browser.click((left + width - 20.0, top + 13.0));
    assert_eq!(browser.text("#details h3"), "fib");
    assert!(
        browser.text("#details dl").ends_with("100.0 %Single slicesnot kept here"),
        "{}",
        browser.text("#details dl")
    );
    let drawn = browser
        .run("[...document.getElementById('canvas').getContext('2d').getImageData(innerWidth / 2, 13, 1, 1).data]");
    assert_eq!(drawn, json!([0, 114, 178, 255]), "the blue of what ran");
    // Of the stretch in which single slices end, what is in those is not told a second time: the rest of it is fib's alone.
    let boundary =
        browser.run("JSON.parse(document.getElementById('data').textContent).exactUntil").as_f64().expect("it");
    let on_screen = |(from, to): (f64, f64), at: f64| (left + (at - from) / (to - from) * width, top + 13.0);
    for _ in 0..6 {
        let place = on_screen(browser.view(), boundary);
        browser.wheel(place, -500.0, json!({}));
    }
    let place = on_screen(browser.view(), boundary + 100.0);
    browser.click(place);
    let list = browser.text("#details dl");
    assert_eq!(list, "Clock400,008 to 400,384Ran376 fuel, 100.0 %Single slicesnot kept here");
    browser.keep("aggregated-boundary.png");
    let time = browser.run("performance.getEntriesByName('draw')[0].duration");
    println!("a frame of {} took {time} ms", browser.text("#timeline p.note"));
    browser.keep("aggregated.png");
    browser.is_well();
}

/// For people: how long a page takes to open and to draw, with slices one by one and with the sums of very many.
#[test]
#[ignore = "it measures"]
fn how_long_it_takes() {
    let Some(mut browser) = Browser::start("long") else { return };
    let runs = [
        ("10,000 slices", "long-ten.html", ["--quantum", "110"], "--run-fuel=1_100_000"),
        ("1,000,000 slices", "long-million.html", ["--quantum", "10"], "--run-fuel=11_000_000"),
    ];
    for (what, name, quantum, fuel) in runs {
        let args = [&quantum[..], &[fuel, "--copies", "10", "wasm/spin.wat"]].concat();
        let path = page(name, &args);
        browser.open(&path, (1280, 900), "light");
        let slices = browser.text(".facts div:nth-child(3) dd");
        let loaded = browser.run("performance.getEntriesByType('navigation')[0].loadEventEnd");
        let mut frames = Vec::new();
        for _ in 0..10 {
            browser.click_on("#later");
            browser.click_on("#fit");
            frames.push(browser.run("performance.getEntriesByName('draw')[0].duration").as_f64().expect("a time"));
        }
        let bytes = fs::metadata(&path).expect("it is there").len();
        println!("{what}: {slices} slices, {bytes} bytes, there after {loaded} ms, frames {frames:.1?} ms");
    }
}

/// Reads a trace with the trace engine of Chromium's DevTools, and says what is on each track of the tasks: its name, and how many spans.
const READ_TRACE: &str = r#"(async whole => {
    const engine = await import('devtools://devtools/bundled/models/trace/trace.js');
    const model = engine.TraceModel.Model.createWithAllHandlers();
    await model.parse(whole.traceEvents, {isFreshRecording: false, metadata: {}});
    const tasks = model.parsedTrace(0).data.Renderer.processes.get(1);
    return [...tasks.threads].map(([tid, thread]) => [tid, thread.name, thread.entries.length]);
})"#;

#[test]
fn devtools_reads_traces_of_all_plans() {
    let Some(mut browser) = Browser::start("traces") else {
        return;
    };
    browser.tell("Page.navigate", json!({"url": "devtools://devtools/bundled/devtools_app.html"}));
    let origin = |browser: &mut Browser| browser.run("location.origin") == "devtools://devtools";
    assert!((0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        origin(&mut browser)
    }));
    let plans = fs::read_dir(format!("{}/docs/plans", env!("CARGO_MANIFEST_DIR"))).expect("the folder of plans");
    for plan in plans.map(|plan| plan.expect("a plan").path().display().to_string()) {
        for clock in ["fuel", "time"] {
            let path = file("devtools.json", "");
            sched(&["run", "-q", "--plan", &plan, "--trace", &path, "--trace-clock", clock]);
            let whole: Value = serde_json::from_str(&fs::read_to_string(&path).expect("written")).expect("JSON");
            let events = whole["traceEvents"].as_array().expect("a list");
            let (mut names, mut spans) = (BTreeMap::new(), BTreeMap::<u64, u64>::new());
            for event in events.iter().filter(|event| event["pid"] == 1) {
                let track = event["tid"].as_u64().expect("a number");
                match (event["ph"].as_str(), event["name"].as_str()) {
                    (Some("M"), Some("thread_name")) => drop(names.insert(track, event["args"]["name"].clone())),
                    (Some("X"), _) => *spans.entry(track).or_default() += 1,
                    _ => {}
                }
            }
            // A track without a span is not shown.
            let expected: Vec<Value> = spans.iter().map(|(track, spans)| json!([track, names[track], spans])).collect();
            let mut read = browser.run(&format!("{READ_TRACE}({whole})"));
            let read = read.as_array_mut().expect("tracks");
            read.sort_by_key(|track| track[0].as_u64());
            assert_eq!(*read, expected, "{plan}, {clock}");
        }
    }
}
